/** A test that failed is excused by a silent kernel alone, and by no more than two of its silences. */

import { expect, spyOn, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { again } from "../silence/again.ts";

const PASSED = { passed: 1, failed: 0, failures: [] };
const FAILED = { passed: 0, failed: 1, failures: ["a close is told"] };

/** The runs that were made, and what came of them; `silences` has one number for each look of the witness. */
async function runs(counts: (typeof FAILED)[], silences: number[]) {
  using said = spyOn(console, "log").mockImplementation(() => {});
  let made = 0;
  const count = await again(
    "x.test.ts",
    async () => counts[made++]!,
    () => silences.shift() ?? 0,
  );
  return { made, count, said: said.mock.calls.map(([line]) => String(line)) };
}

test("what passes runs once, however silent the kernel was", async () => {
  expect(await runs([PASSED], [5, 5])).toEqual({ made: 1, count: PASSED, said: [] });
});

test("what fails while nothing was kept back has failed, silences before it notwithstanding", async () => {
  expect(await runs([FAILED], [5, 0])).toEqual({ made: 1, count: FAILED, said: [] });
});

test("what fails while the kernel was silent runs again, and the reason is said", async () => {
  const { made, count, said } = await runs([FAILED, PASSED], [0, 2]);
  expect({ made, count }).toEqual({ made: 2, count: PASSED });
  expect(said).toHaveLength(1);
  expect(said[0]).toContain("x.test.ts: no tracepoint fired at 2 changes of a TCP state");
  expect(said[0]).toContain('again after "a close is told"');
});

test("what fails three times has failed", async () => {
  const { made, count } = await runs([FAILED, FAILED, FAILED], [0, 1, 0, 1, 0, 1]);
  expect({ made, count }).toEqual({ made: 3, count: FAILED });
});

/** A file's own functions run in its loop before a constant below the loop has its value. */
test("the command of all tests has no constant below the loop that runs them", () => {
  const text = readFileSync(join(import.meta.dir, "../all.ts"), "utf8");
  const [, below] = text.split("\nprocess.exit(");
  expect(below).toBeDefined();
  expect(below).not.toMatch(/^(const|let|class) /m);
});
