import { expect, test } from "bun:test";
import { sourceDate } from "../../src/build/source_date.ts";

test("the time of a release is the given one, else that of the commit", () => {
  expect(sourceDate("1700000000")).toBe(1_700_000_000);
  const commit = Bun.spawnSync(["git", "log", "-1", "--format=%ct"]).stdout.toString();
  expect(sourceDate("")).toBe(Number(commit));
});

test("what is no number of seconds is told of", () => {
  for (const wrong of ["yesterday", "-1", "1e9", "17000000000"])
    expect(() => sourceDate(wrong)).toThrow(`SOURCE_DATE_EPOCH "${wrong}"`);
});
