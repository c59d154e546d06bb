/** The runtime inside: the variables that it obeys, and why it cannot work. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exitCodeOf, formatError } from "../../src/errors.ts";
import {
  beganAnew,
  elevationOf,
  refusedVariable,
  runtimeVariables,
  SMALL_RESERVATION,
  smaller,
  withoutJit,
  type Identity,
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

describe("more rights than the user who started it", () => {
  const user = {
    secure: true,
    uid: 1000,
    euid: 1000,
    gid: 1000,
    egid: 1000,
    executable: "/usr/bin/t",
  };

  test.each<[string, Partial<Identity>, RegExp]>([
    ["the setuid bit", { euid: 0 }, /has the setuid bit[^]*chmod u-s \/usr\/bin\/t/],
    ["the setgid bit", { egid: 4 }, /has the setgid bit[^]*chmod g-s \/usr\/bin\/t/],
    ["file capabilities", {}, /has file capabilities[^]*setcap -r \/usr\/bin\/t/],
    ["root that became a user", { uid: 0 }, /setuid bit/],
  ])("%s is refused with exit code 3", (_, change, text) => {
    const error = elevationOf({ ...user, ...change });
    expect(exitCodeOf(error)).toBe(3);
    expect(formatError(error, false)).toMatch(text);
    expect(formatError(error, false)).toMatch(/BUN_OPTIONS[^]*sudo tracer-bpf/);
  });

  test.each<[string, Partial<Identity>]>([
    ["a user with what a user has", { secure: false }],
    ["sudo, which sets all ids", { secure: false, uid: 0, euid: 0, gid: 0, egid: 0 }],
    ["root whom a security module moved to another domain", { uid: 0, euid: 0 }],
  ])("%s is not", (_, change) => {
    expect(elevationOf({ ...user, ...change })).toBeNull();
  });
});
