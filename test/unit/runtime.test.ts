/** The runtime inside: the variables that it obeys, and why it cannot work. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exitCodeOf, formatError } from "../../src/errors.ts";
import {
  beganAnew,
  refusedVariable,
  runtimeVariables,
  SMALL_RESERVATION,
  smaller,
  withoutJit,
} from "../../src/runtime.ts";

const textOf = (path: string) => readFileSync(join(import.meta.dir, "../..", path), "utf8");

test("a variable that makes the runtime run or open something is refused, by its own name", () => {
  for (const name of ["BUN_OPTIONS", "BUN_INSPECT", "BUN_INSPECT_PRELOAD", "BUN_JSC_configFile"]) {
    const error = refusedVariable({ PATH: "/bin", [name]: "x" })!;
    expect(exitCodeOf(error)).toBe(3);
    expect(formatError(error, false)).toMatch(
      new RegExp(`^error: ${name} .*\n  because: .*\n  try: `),
    );
    expect(refusedVariable({ [name]: "" })).toBeNull();
  }
});

test("others are not refused, nor is the one that the tracer gives itself", () => {
  const given = {
    PATH: "/bin",
    NODE_OPTIONS: "--inspect",
    BUN_TMPDIR: "/tmp",
    MY_BUN_INSPECT: "x",
  };
  expect(refusedVariable(given)).toBeNull();
  expect(beganAnew(given)).toBe(false);
  expect(beganAnew(smaller(given))).toBe(true);
  expect(refusedVariable(smaller(given))).toBeNull();
  expect(refusedVariable({ [SMALL_RESERVATION.name]: "4096" })).not.toBeNull();
});

test("docs/security.md names every variable that acts, and the systemd unit unsets those with one name", () => {
  const security = textOf("docs/security.md");
  const unset = /^UnsetEnvironment=(.*)$/m
    .exec(textOf("packaging/tracer-bpf.service"))![1]!
    .split(" ");
  for (const { text, refused } of runtimeVariables) {
    expect(security).toContain(`| \`${text}`);
    if (refused || text === "BUN_BE_BUN")
      expect(unset.some((name) => name.startsWith(text))).toBe(true);
  }
});

describe("without memory that is writable and executable", () => {
  test.each([
    [
      "the limit of the address space",
      { limit: 1_024_000_000, overcommit: 2 },
      /1024 MB[^]*ulimit -v/,
    ],
    [
      "vm.overcommit_memory",
      { limit: null, overcommit: 2 },
      /CommitLimit[^]*vm\.overcommit_memory=0/,
    ],
    [
      "else something that forbids it",
      { limit: null, overcommit: 0 },
      /PR_SET_MDWE[^]*execmem[^]*=no/,
    ],
  ])("%s is named", (_, facts, text) => {
    const error = withoutJit(facts);
    expect(formatError(error, false)).toMatch(text);
    expect(exitCodeOf(error)).toBe(3);
  });
});
