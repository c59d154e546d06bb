/** Wrong uses, and where the command tells of them: each time as a process of its own. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";

describe("the process", () => {
  const folder = mkdtempSync(join(tmpdir(), "cli-test-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  let serial = 0;
  const snapshot = join(import.meta.dir, "../fixtures/guess/6.12.snapshot.gz");
  const sparse = (path: string, bytes: number) => {
    writeFileSync(path, "");
    truncateSync(path, bytes);
  };
  const main = join(import.meta.dir, "../../src/main.ts");

  async function run(argv: string[], env: Record<string, string> = {}) {
    const child = Bun.spawn([process.execPath, main, ...argv], {
      env: { ...process.env, ...env },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { stdout, stderr, code: await child.exited };
  }

  test("help goes to stdout with exit code 0", async () => {
    const { stdout, stderr, code } = await run(["--help"]);
    expect(stdout).toStartWith("tracer-bpf: ");
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });

  test("without a command help goes to stderr with exit code 2", async () => {
    const { stdout, stderr, code } = await run([]);
    expect(stdout).toBe("");
    expect(stderr).toStartWith("tracer-bpf: ");
    expect(code).toBe(2);
  });

  test.each([
    [["trace", "--pidd", "3"]],
    [["trace", "-d", "10x"]],
    [["trace", "-c", "0"]],
    [["trace", "-o", "json", "--wide"]],
    [["trace", "-o", "csv", "-T"]],
    [["trace", "--record", "-"]],
    [["offsets", "guess", "--save", "-"]],
    [["offsets", "snapshot", "--save=-"]],
    [["trace", "--json", "-H"]],
    [["trace", "--json", "-o", "csv"]],
    [["nope"]],
  ])("%j is an error on stderr with exit code 2, nothing on stdout", async (argv) => {
    const { stdout, stderr, code } = await run(argv);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^error: .*\n(  because: .*\n)?  try: .*\n$/);
    expect(code).toBe(2);
  });

  /** To add one, add a row: what is made at the path, and what is said of it. */
  test.each<[string, (path: string) => void, RegExp]>([
    ["nothing", () => {}, /no such file/],
    ["a directory", (path) => mkdirSync(path), /a directory/],
    ["a FIFO", (path) => Bun.spawnSync(["mkfifo", path]), /a FIFO/],
    ["a link to a device", (path) => symlinkSync("/dev/zero", path), /a device/],
    ["a gigabyte of zeros", (path) => sparse(path, 1 << 30), /larger than/],
    ["a megabyte of zeros", (path) => writeFileSync(path, Buffer.alloc(1 << 20)), /no JSON/],
    ["a program", (path) => copyFileSync(process.execPath, path), /larger than/],
    ["a snapshot", (path) => copyFileSync(snapshot, path), /no JSON/],
    ["a deep list", (path) => writeFileSync(path, "[".repeat(1 << 19)), /no JSON|no object/],
  ])("%s for an offsets file is one error, with exit code 1", async (_, make, why) => {
    const path = join(folder, `offsets-${serial++}`);
    make(path);
    const { stdout, stderr, code } = await run(["offsets", "show", path]);
    expect(stderr).toMatch(/^error: .*\n {2}because: .*\n( {2}try: .*\n)?$/);
    expect(stderr).toStartWith(`error: ${path}: `);
    expect(stderr).toMatch(why);
    expect([code, stdout]).toEqual([1, ""]);
  });

  test("the version is the package's", async () => {
    for (const argv of [["version"], ["--version"], ["-V"]]) {
      const { stdout, code } = await run(argv);
      expect(stdout).toStartWith(`tracer-bpf ${version} `);
      expect(code).toBe(0);
    }
  });

  const wrong = ["tarce\x1b[31m"];

  test.each([
    {},
    { NO_COLOR: "1" },
    { NO_COLOR: "" },
    { FORCE_COLOR: "1", CLICOLOR_FORCE: "1", TERM: "xterm" },
  ])("no escape code reaches a pipe with %j", async (env: Record<string, string>) => {
    const outputs = await Promise.all([run(["trace", "--help"], env), run(wrong, env)]);
    for (const { stdout, stderr } of outputs) expect(stdout + stderr).not.toContain("\x1b");
  });

  const mistaken = ["offsets", "show", "/nonexistent"];

  test.each(["always", "never", "auto"])(
    "--color %s decides, whatever the environment says",
    async (color) => {
      const { stderr } = await run([...mistaken, "--color", color], { NO_COLOR: "1" });
      expect(stderr.includes("\x1b")).toBe(color === "always");
      expect(Bun.stripANSI(stderr)).toStartWith("error: ");
    },
  );

  test.each<[Record<string, string>, boolean]>([
    [{ TERM: "xterm" }, true],
    [{ TERM: "xterm", NO_COLOR: "" }, true],
    [{ TERM: "xterm", NO_COLOR: "0" }, false],
    [{ TERM: "dumb" }, false],
  ])("on a terminal with %j there is color: %p", async (env, colored) => {
    const { NO_COLOR: _, ...rest } = process.env;
    let shown = "";
    const child = Bun.spawn([process.execPath, main, ...mistaken], {
      env: { ...rest, ...env },
      terminal: { data: (_, bytes) => void (shown += Buffer.from(bytes).toString()) },
    });
    await child.exited;
    expect(shown.includes("\x1b[31merror:")).toBe(colored);
    expect(shown).toContain("error:");
  });
});
