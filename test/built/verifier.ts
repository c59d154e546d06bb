/**
 * A static check of a kprobe program against what the verifier of Linux 4.4 accepts of root, and a
 * little less: what is refused here and not there is easy to avoid and a mistake more often than not.
 */
import type { Program } from "./bpf_object.ts";
import { explore } from "./verifier_paths.ts";
import { HELPERS } from "./bpf_helpers.ts";
import {
  ALU,
  classOf,
  disassemble,
  isCall,
  JMP,
  LD_IMM64,
  MODE,
  modeOf,
  operationOf,
  sizeOf,
  successors,
  usesRegister,
  type Instruction,
  type Slots,
} from "./bpf_instruction.ts";

/** To add a rule, give it the end of a sentence here and a program that breaks it in test/unit/legacy.test.ts. */
export const RULES = {
  size: "have at most 4,096 instructions",
  opcodes: "use only instructions of the first instruction set, and no atomic one but xadd",
  helpers: "call only helpers that Linux 4.4 gives to kprobes, and no other program",
  flow: "have no loop and no unreachable instruction",
  maps: "refer only to plain hash, array and perf event array maps, and to no global data",
  arguments: "pass to helpers only written stack memory of a constant size",
  values: "use a map value only through the register compared with 0, aligned and inside it",
  context: "read only whole registers of the context",
  initialised: "read no register and no stack byte that was not written",
  arithmetic: "compute with no pointer but r10 plus a constant",
  leaks: "put no pointer into a map or where a helper takes a number",
  complexity: "are verified within 32,768 steps",
} as const;

export type Rule = keyof typeof RULES;
export type Report = (rule: Rule, at: number, what: string) => void;

export interface Problem {
  rule: Rule;
  at: number;
  text: string;
}

export interface Verdict {
  problems: Problem[];
  /** As 4.4 counts; null: not explored, because of problems that are seen without. */
  steps: number | null;
}

const MAX_INSTRUCTIONS = 4096;

/** To add a map type that 4.4 has, add its number in enum bpf_map_type. */
const MAP_TYPES = new Map([
  [1, "HASH"],
  [2, "ARRAY"],
  [4, "PERF_EVENT_ARRAY"],
  // The tool makes a plain hash of it where the kernel does not have it: see sh_no_lru.
  [9, "LRU_HASH"],
]);

export function verify(program: Program, contextSize: number): Verdict {
  const problems = new Map<string, Problem>();
  const report: Report = (rule, at, what) => {
    const i = program.slots[at];
    const where = `instruction ${at} (${i ? disassemble(i) : "none"}) of ${program.sourceOf(at)}`;
    const text = `${program.name}, ${where}: ${what}`;
    problems.set(`${rule} ${text}`, { rule, at, text });
  };
  checkShape(program, report);
  const steps = problems.size === 0 ? explore(program.slots, contextSize, report) : null;
  return { problems: [...problems.values()], steps };
}

/** All that is seen without following a path. */
function checkShape({ slots }: Program, report: Report): void {
  if (slots.length > MAX_INSTRUCTIONS)
    report("size", MAX_INSTRUCTIONS, `the program has ${slots.length} instructions`);
  for (const i of slots) {
    if (!i) continue;
    if (!isKnown(i)) report("opcodes", i.at, "Linux 4.4 does not know this instruction");
    if (isCall(i)) checkCall(i, report);
    else if (i.target !== null) checkTarget(i, report);
  }
  checkFlow(slots, report);
}

/** A jump backwards is no loop by itself: clang puts the code of an error behind the end. */
function checkFlow(slots: Slots, report: Report): void {
  const left = new Map<number, number[]>();
  const path: number[] = [];
  const enter = (at: number): void => {
    left.set(at, successors(slots[at]!));
    path.push(at);
  };
  const finished = new Set<number>();
  enter(0);
  for (let at = 0; path.length > 0; at = path.at(-1) ?? 0) {
    const next = left.get(at)!.pop();
    if (next === undefined) finished.add(path.pop()!);
    else if (!slots[next]) report("flow", at, `instruction ${next} is outside of the program`);
    else if (!left.has(next)) enter(next);
    else if (!finished.has(next)) report("flow", at, `a loop from instruction ${next} to here`);
  }
  for (const i of slots) if (i && !left.has(i.at)) report("flow", i.at, "no path leads here");
}

function checkCall(i: Instruction, report: Report): void {
  if (i.src !== 0 || i.target !== null) report("helpers", i.at, "a call of another program");
  else if (!HELPERS.has(i.imm)) report("helpers", i.at, `no helper ${i.imm} for kprobes in 4.4`);
}

function checkTarget({ at, target }: Instruction, report: Report): void {
  if (typeof target === "string") return report("maps", at, `${target} is no map`);
  if (!MAP_TYPES.has(target!.type)) report("maps", at, `${target!.name} has type ${target!.type}`);
  if (target!.extras.length > 0)
    report("maps", at, `${target!.name} has ${target!.extras.join(", ")}`);
}

/** By instruction class. Off and imm are checked where later instruction sets gave them a meaning. */
const KNOWN: ((i: Instruction) => boolean)[] = [
  (i) => i.code === LD_IMM64 && i.src <= 1,
  (i) => modeOf(i.code) === MODE.mem,
  (i) => modeOf(i.code) === MODE.mem,
  (i) =>
    modeOf(i.code) === MODE.mem ||
    (modeOf(i.code) === MODE.xadd && i.imm === 0 && sizeOf(i.code) >= 4),
  // 32-bit arithmetic shifts are from 4.16 on.
  (i) => operationOf(i.code) <= ALU.end && operationOf(i.code) !== ALU.arsh && i.off === 0,
  (i) => operationOf(i.code) <= JMP.exit && !(usesRegister(i.code) && isLone(i)),
  () => false,
  (i) => operationOf(i.code) < ALU.end && i.off === 0,
];

/** Jumps without an operand: they come in one form. */
const isLone = (i: Instruction): boolean =>
  [JMP.ja, JMP.call, JMP.exit].some((operation) => operation === operationOf(i.code));

const isKnown = (i: Instruction): boolean => KNOWN[classOf(i.code)]!(i);
