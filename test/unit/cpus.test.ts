/** How many CPUs there can be. */
import { expect, test } from "bun:test";
import { parsePossible, possibleCpus } from "../../src/kernel/cpus.ts";

test.each([
  ["0\n", 1],
  ["0-3\n", 4],
  ["0,2-5\n", 6],
  ["0-63,128-191\n", 192],
  ["", null],
  ["none\n", null],
])("%j means %p", (text, cpus) => {
  expect(parsePossible(text)).toBe(cpus);
});

test("this host has one at least", () => {
  expect(possibleCpus()).toBeGreaterThan(0);
});
