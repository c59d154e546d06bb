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
import { linuxAtLeast } from "../kernel/drive/modes.ts";

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
    timeout: 300_000,
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

  // The runtime obeys it before the tracer refuses to run with it.
  const spied = spawn([executable, "version"], { cwd: path, env });
  expect(spied.stdout).toBe("MARK is undefined\n");
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

test.each([
  "BUN_INSPECT=127.0.0.1:0/x",
  "BUN_INSPECT_CONNECT_TO=x",
  "BUN_JSC_useJIT=0",
  "BUN_OPTIONS=--smol",
])("with %s in the environment it refuses to run, and says what to do", (variable) => {
  const [name, value] = variable.split("=") as [string, string];
  const refused = spawn([executable, "version"], { env: { [name]: value } });
  expect(refused.stderr).toStartWith(
    `error: ${name} in the environment: refusing to run with it\n`,
  );
  expect(refused.stderr).toContain(`try: env -u ${name} `);
  expect(refused).toMatchObject({ code: 3, stdout: "" });
});

test("an empty BUN_OPTIONS or BUN_INSPECT does nothing", () => {
  const env = { BUN_OPTIONS: "", BUN_INSPECT: "" };
  expect(spawn([executable, "version"], { env })).toMatchObject({ code: 0, stderr: "" });
});

test("with too little address space for the runtime's own reservation it begins anew with a smaller one, once", () => {
  const limited = (kilobytes: number, command: string) =>
    spawn(["sh", "-c", `ulimit -v ${kilobytes}; exec ${command}`]);
  // The runtime alone finds no room for the code that it makes, and calls nothing.
  const ffi = `require("bun:ffi").dlopen("libc.so.6", { getpid: { args: [], returns: "i32" } })`;
  const alone = limited(1_000_000, `env BUN_BE_BUN=1 ${executable} -e '${ffi}'`);
  expect(alone.stderr).toContain("requires the JIT");
  expectOffsets(limited(1_000_000, guess.join(" ")));
});

test("the command of a trace does not get what the tracer began anew with", () => {
  const command = `${executable} trace --json -- env`;
  const { stderr, code } = spawn(["sh", "-c", `ulimit -v 1000000; exec ${command}`]);
  expect(stderr).toMatch(/^PATH=/m);
  expect(stderr).not.toContain("BUN_JSC");
  expect(code).toBe(0);
});

const PR_SET_MDWE = 65;

test.skipIf(!linuxAtLeast(6, 3))(
  "where no memory may be writable and executable it says so",
  () => {
    const script = `
    const { symbols } = require("bun:ffi").dlopen("libc.so.6", {
      prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
    });
    if (symbols.prctl(${PR_SET_MDWE}, 1, 0, 0, 0) !== 0) throw new Error("prctl failed");
    process.execve(${JSON.stringify(executable)}, ["tracer-bpf", "version"], {});`;
    const refused = spawn([process.execPath, "-e", script]);
    expect(refused.stderr).toMatch(
      /^error: memory that is writable and executable: [^]*MemoryDenyWriteExecute[^]*try: /,
    );
    expect(refused).toMatchObject({ code: 3, stdout: "" });
  },
);

test.each(["trace -d 0.1s", "trace --json -d 0.1s -- true", "version", "check", "trace --help"])(
  "%s with a closed stdout fails and says that its output would go nowhere; with /dev/null it does not",
  (command) => {
    const run = (to: string) => spawn(["sh", "-c", `${executable} ${command} ${to}`]);
    const closed = run(">&-");
    expect(closed.stderr).toMatch(/^error: stdout: cannot write [^]*nowhere\n  try: .*\/dev\/null/);
    expect(closed.code).toBe(1);
    for (const to of [">/dev/null", "1<>/dev/null"]) expect(run(to).code).toBe(0);
  },
);

test.each([5, 8, 16, 40])("with %d file descriptors it works or names the limit", (limit) => {
  // Root may raise it where it has CAP_SYS_RESOURCE.
  const { code, stderr } = spawn(["sh", "-c", `ulimit -n ${limit}; ${executable} trace -d 0.1s`]);
  if (code === 0) return;
  expect(stderr).toMatch(/^error: enough file descriptors: [^]*ulimit -n 4096/);
  expect(code).toBe(3);
});
