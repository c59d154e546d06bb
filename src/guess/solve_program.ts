/** The search of program.ts. Pure. */
import { KERNEL_CEILING, kernelFloor } from "./window.ts";

export interface ProgramOffsets {
  /** Of `mm` in struct task_struct. */
  mm: number;
  /** Of `arg_start` in struct mm_struct; `arg_end` follows it. */
  argStart: number;
}

/** Addresses in the tool's own memory, which its mm_struct has one after the other, as words of 64 bits. */
export type MemoryMarks = readonly bigint[];

/** In `marks`: start_stack, and behind it arg_start. */
const ARG_START = 1;

/**
 * `task` is a copy of the task_struct, `behind` copies what lies at an address. A process has its mm_struct in two
 * neighbours, `mm` and `active_mm`; threads of the kernel only borrow the second, so the first must be found. The copy may
 * go on into other tasks, whose threads share the mm_struct: the lowest place is the own. `null`: there is none.
 */
export function solveProgram(
  task: Uint8Array,
  marks: MemoryMarks,
  behind: (address: bigint) => Uint8Array,
): ProgramOffsets | null {
  const words = wordsOf(task);
  for (const [i, word] of words.entries()) {
    if (word !== words[i + 1] || !isAddress(word)) continue;
    const at = runOf(wordsOf(behind(word)), marks);
    if (at !== null) return { mm: i * WORD, argStart: (at + ARG_START) * WORD };
  }
  return null;
}

// --- internal ---

const WORD = 8;

const isAddress = (word: bigint): boolean =>
  word >= kernelFloor(word) && word < KERNEL_CEILING && word % BigInt(WORD) === 0n;

function wordsOf(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = Math.floor(bytes.byteLength / WORD);
  return Array.from({ length: count }, (_, n) => view.getBigUint64(n * WORD, true));
}

/** Where all of `marks` stand one after the other: just once, or null. */
function runOf(words: readonly bigint[], marks: MemoryMarks): number | null {
  const places = words.flatMap((_, at) =>
    marks.every((mark, n) => words[at + n] === mark) ? [at] : [],
  );
  return places.length === 1 ? places[0]! : null;
}
