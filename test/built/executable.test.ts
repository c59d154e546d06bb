import { dlopen } from "bun:ffi";
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { executableOf, HOST } from "../../src/build/arch.ts";

const executable = resolve(executableOf(HOST));
/** Loads the shim and both objects' machinery, and shows it: offsets come from the kernel only. */
const guess = [executable, "offsets", "guess", "--json"];

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "executable-test-"));
});
afterAll(() => rmSync(work, { recursive: true }));

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

function spawn(
  command: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Outcome {
  const child = Bun.spawnSync(command, {
    cwd: options.cwd ?? work,
    env: { PATH: process.env["PATH"], ...options.env },
    stdin: "ignore",
    stderr: "pipe",
    timeout: 60_000,
  });
  return {
    code: child.exitCode ?? -1,
    stdout: child.stdout.toString(),
    stderr: child.stderr.toString(),
  };
}

function expectOffsets(outcome: Outcome): void {
  expect(outcome.stderr).not.toContain("error");
  expect(outcome.code).toBe(0);
  const { fields } = JSON.parse(outcome.stdout) as { fields: { status: string }[] };
  expect(fields.filter((field) => field.status === "found").length).toBeGreaterThan(10);
}

/** A directory whose bunfig.toml and .env would act, each in a way that can be seen. */
function hostileDirectory(): { path: string; acted: string; spy: string } {
  const path = join(work, "hostile");
  const acted = join(work, "the-preload-ran");
  const spy = join(work, "spy.ts");
  mkdirSync(path);
  writeFileSync(join(path, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
  writeFileSync(
    join(path, "preload.ts"),
    `require("node:fs").writeFileSync(${JSON.stringify(acted)}, "");`,
  );
  writeFileSync(join(path, ".env"), "MARK=from-dot-env\n");
  writeFileSync(join(path, "empty.ts"), "");
  writeFileSync(spy, "console.log(`MARK is ${process.env.MARK}`);\n");
  return { path, acted, spy };
}

test("a bunfig.toml and a .env in the current directory do not act", () => {
  const { path, acted, spy } = hostileDirectory();
  // Runs inside any Bun, ours too, and shows what it has for an environment.
  const env = { BUN_OPTIONS: `--preload=${spy}` };

  // Both files do act on Bun itself: otherwise the rest would prove nothing.
  expect(spawn([process.execPath, "empty.ts"], { cwd: path, env }).stdout).toContain(
    "MARK is from-dot-env\n",
  );
  expect(existsSync(acted)).toBe(true);
  rmSync(acted);

  const spied = spawn([executable, "version"], { cwd: path, env });
  expect(spied.stdout).toContain("MARK is undefined\n");
  expect(spied.stdout).toContain("tracer-bpf");
  expectOffsets(spawn(guess, { cwd: path }));
  expect(existsSync(acted)).toBe(false);
});

test("nothing is left in TMPDIR", () => {
  const temporary = join(work, "tmp");
  mkdirSync(temporary);
  expectOffsets(spawn(guess, { env: { TMPDIR: temporary } }));
  expect(readdirSync(temporary)).toEqual([]);
});

test("it works where TMPDIR is missing", () => {
  const missing = join(work, "missing");
  expectOffsets(spawn(guess, { env: { TMPDIR: missing } }));
  expect(existsSync(missing)).toBe(false);
});

const MS_RDONLY = 1;
const MS_NOEXEC = 8;
const MS_REMOUNT = 32;
// Not every minimal Debian has mount(8).
const { symbols: libc } = dlopen("libc.so.6", {
  mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  umount2: { args: ["ptr", "i32"], returns: "i32" },
});
const path = (text: string): Buffer => Buffer.from(`${text}\0`);

function mountTmpfs(at: string, flags: number): void {
  if (libc.mount(path("tmpfs"), path(at), path("tmpfs"), flags, null) !== 0)
    throw new Error(`cannot mount a tmpfs on ${at}: this test needs root`);
}

test("it works where TMPDIR is mounted noexec, and read-only", () => {
  const mounted = join(work, "noexec");
  mkdirSync(mounted);
  mountTmpfs(mounted, MS_NOEXEC);
  try {
    copyFileSync("/bin/true", join(mounted, "true"));
    expect(() => Bun.spawnSync([join(mounted, "true")])).toThrow("EACCES");
    rmSync(join(mounted, "true"));
    expectOffsets(spawn(guess, { env: { TMPDIR: mounted } }));
    expect(readdirSync(mounted)).toEqual([]);
    mountTmpfs(mounted, MS_NOEXEC | MS_RDONLY | MS_REMOUNT);
    expectOffsets(spawn(guess, { env: { TMPDIR: mounted } }));
  } finally {
    // A mount that stays makes the clean-up after all tests fail.
    libc.umount2(path(mounted), 0);
  }
});
