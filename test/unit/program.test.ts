/** The search for the arguments of a process in copies of its task_struct and mm_struct. */
import { describe, expect, test } from "bun:test";
import { solveProgram } from "../../src/guess/solve_program.ts";
import { parseMemoryMarks } from "../../src/kernel/proc_text.ts";

const marks = [0x7ffc0100n, 0x7ffc0200n, 0x7ffc0280n, 0x7ffc0280n, 0x7ffc0fe0n];
const KERNEL = 0xffff_8880_0000_0000n;
const mm = KERNEL + 0x4000n;

const words = (...values: bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer);
const filler = (count: number, from = 1n) =>
  Array.from({ length: count }, (_, n) => from + BigInt(n));
const mmStruct = words(...filler(40), ...marks, ...filler(20, 500n));

/** A memory with these bytes behind each address, and nothing behind others. */
const memory = (of: Record<string, Uint8Array>) => (address: bigint) =>
  of[String(address)] ?? new Uint8Array();

describe("the arguments", () => {
  test("are found behind the first of two equal neighbours", () => {
    const task = words(...filler(100), KERNEL, KERNEL, mm, mm, ...filler(100));
    const behind = memory({ [String(mm)]: mmStruct, [String(KERNEL)]: words(...filler(100)) });
    expect(solveProgram(task, marks, behind)).toEqual({ mm: 102 * 8, argStart: 41 * 8 });
  });

  test("of another thread's task behind the own one do not matter", () => {
    const task = words(...filler(5), mm, mm, ...filler(100), mm, mm, ...filler(9));
    expect(solveProgram(task, marks, memory({ [String(mm)]: mmStruct }))?.mm).toBe(5 * 8);
  });

  test.each([
    ["one alone could be borrowed", words(...filler(10), mm, ...filler(10))],
    ["there is none", words(...filler(10))],
    ["the copy is empty", words()],
  ])("are not known where %s", (_, task) => {
    expect(solveProgram(task, marks, memory({ [String(mm)]: mmStruct }))).toBeNull();
  });

  test.each([
    ["twice", words(...marks, ...marks)],
    ["in another order", words(...filler(10), ...marks.toReversed())],
    ["cut off", words(...filler(10), ...marks.slice(0, 4))],
  ])("are not known where the words stand there %s", (_, struct) => {
    expect(solveProgram(words(mm, mm), marks, memory({ [String(mm)]: struct }))).toBeNull();
  });

  test("only addresses of the kernel are looked behind", () => {
    const asked: bigint[] = [];
    const task = words(
      0n,
      0n,
      8n,
      8n,
      ~0n & (2n ** 64n - 1n),
      2n ** 64n - 1n,
      mm + 1n,
      mm + 1n,
      mm,
      mm,
    );
    solveProgram(task, marks, (address) => {
      asked.push(address);
      return new Uint8Array();
    });
    expect(asked).toEqual([mm]);
  });
});

describe("/proc/self/stat", () => {
  const stat = (name: string, fields: (number | bigint)[]) => `7 (${name}) R ${fields.join(" ")}\n`;
  const all = Array.from({ length: 49 }, (_, n) => n + 4);

  test("has them at 28 and 48 to 51, behind any name", () => {
    expect(parseMemoryMarks(stat("x) R 1 (", all))).toEqual([28n, 48n, 49n, 50n, 51n]);
  });

  test("does not tell before 3.5, or hides them", () => {
    expect(parseMemoryMarks(stat("x", all.slice(0, 40)))).toBeNull();
    expect(
      parseMemoryMarks(
        stat(
          "x",
          all.map((n) => (n === 48 ? 0 : n)),
        ),
      ),
    ).toBeNull();
  });
});
