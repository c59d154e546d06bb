/**
 * The attribute `gid` is added to a copy of the sources in the steps of CONTRIBUTING.md. The copy builds, its tests pass,
 * and it shows each process its own gid. A copy in which any one step is left out does not build, or a test fails.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOST } from "../../src/build/arch.ts";

setDefaultTimeout(180_000);

const top = join(import.meta.dir, "../..");
const TSC = join(top, "node_modules/.bin/tsc");
/** All that the build, the types and the unit tests of the copy read. */
const COPIED = [
  ...["bpf", "src", "test", "docs", "packaging", "dist/.stamps", "dist/embed", `dist/${HOST}`],
  ...["build.ts", "package.json", "package-lock.json", "tsconfig.json", "LICENSE", "README.md"],
  ...["CHANGELOG.md", "CONTRIBUTING.md", "KNOWN_ISSUES.md"],
];

/** By step: the file, the text in front of which a line is put or which a line replaces, and the line. */
const steps = {
  record: ["bpf/record.h", "\tu32 _pad;\n\tu64 cgroup_id;", "\tu32 gid;\n\tu64 cgroup_id;"],
  current: [
    "bpf/process/owner.h",
    "\towner->owned_at",
    "\towner->gid = bpf_get_current_uid_gid() >> 32;\n\towner->owned_at",
  ],
  proc: [
    "src/kernel/owners.ts",
    "      cgroup_id:",
    '      gid: realIdOf(pid, "Gid"),\n      cgroup_id:',
  ],
  row: [
    "src/members/attributes.ts",
    "  uid: {",
    `  gid: {
    description: "real group id of the process, in the initial user namespace",
    column: { title: "GID", width: 6, meaning: "real group id of that process" },
    names: { openTelemetry: "", ecs: "" },
  },
  uid: {`,
  ],
} as const satisfies Record<string, readonly [file: string, at: string, becomes: string]>;
type Step = keyof typeof steps;
const stepNames = Object.keys(steps) as Step[];

let work: string;
let whole: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), "attribute-test-"));
  whole = copyOf(top, "whole");
  for (const step of stepNames) edit(whole, step);
  const built = await run(whole, [process.execPath, "build.ts", "--dev"]);
  expect(built).toMatchObject({ exitCode: 0 });
  expect(await run(whole, [process.execPath, "run", "docs"])).toMatchObject({ exitCode: 0 });
});
afterAll(() => rmSync(work, { recursive: true }));

test("CONTRIBUTING.md names the files of the steps, and no other source", () => {
  const section = /^## To add an attribute of an event\n([^]*?)^## /m.exec(
    readFileSync(join(top, "CONTRIBUTING.md"), "utf8"),
  )![1]!;
  const named = Array.from(section.matchAll(/`((?:bpf|src)\/[\w/.]+)`/g), ([, file]) => file!);
  const generated = "src/record/layout.gen.ts";
  expect(named.filter((file) => file !== generated)).toEqual(
    stepNames.map((step) => steps[step][0]),
  );
});

describe("with all steps", () => {
  test("the types fit, those of the tests too", async () => {
    expect(await run(whole, [TSC, "-p", "."])).toMatchObject({ exitCode: 0, text: "" });
  });

  test("the tests of members, lines and recordings pass, and some are about gid", async () => {
    const names = ["straight", "recording", "schema", "documents", "layout", "state"];
    const files = names.map((name) => `./test/unit/${name}.test.ts`);
    const { exitCode, text } = await bunTest(whole, ["--parallel=2", ...files]);
    expect(exitCode, text).toBe(0);
    const about = await bunTest(whole, ["-t", "that differ in gid", ...files.slice(0, 2)]);
    expect(about.text).toMatch(/^ 6 pass$/m);
  });

  test("the trace shows each of two processes its own", async () => {
    await using trace = await Trace.start(whole);
    const own = new Map<number, number>();
    const seen = new Set<number>();
    // On a busy machine the tracepoint mode can miss an event.
    while (seen.size < 2) {
      for (const gid of [1234, 4321]) own.set(await trace.connectAs(gid), gid);
      const { gid, local } = await trace.next();
      expect(gid).toBe(own.get(local.port)!);
      seen.add(gid!);
    }
  });
});

describe("it is told when a step is left out:", () => {
  test("the member of struct owner", async () => {
    const { exitCode, text } = await run(without("record"), [
      process.execPath,
      "build.ts",
      "--dev",
    ]);
    expect(exitCode).not.toBe(0);
    expect(text).toMatch(/no member named 'gid' in 'struct owner'/);
  });

  test("the line that fills it for the current process", async () => {
    const { exitCode, text } = await bunTest(without("current"), [
      "./test/unit/layout.test.ts",
      "-t",
      "fills each member",
    ]);
    expect(exitCode).not.toBe(0);
    expect(text).toMatch(/^-\s+"gid",$/m);
  });

  test.each<[string, Step, RegExp]>([
    [
      "the line for a process of /proc",
      "proc",
      /^src\/kernel\/owners\.ts\b.*\n?.*'gid' is missing/m,
    ],
    ["the row", "row", /^src\/members\/attributes\.ts\b.*\n?.*'gid' is missing/m],
  ])("%s", async (_, step, error) => {
    const copy = without(step);
    writeFileSync(join(copy, "src.json"), '{"extends":"./tsconfig.json","include":["src"]}');
    const { exitCode, text } = await run(copy, [TSC, "-p", "src.json"]);
    expect(exitCode).not.toBe(0);
    expect(text).toMatch(error);
  });

  test("the documents", async () => {
    const copy = copyOf(whole, "documents");
    cpSync(join(top, "docs"), join(copy, "docs"), { recursive: true });
    const { exitCode, text } = await bunTest(copy, ["./test/unit/documents.test.ts"]);
    expect(exitCode).not.toBe(0);
    for (const page of ["fields", "reference"])
      expect(text).toContain(`(fail) docs/${page}.md is what \`bun run docs\` writes`);
  });
});

// --- internal ---

function copyOf(from: string, name: string): string {
  const to = join(work, name);
  for (const path of COPIED)
    cpSync(join(from, path), join(to, path), { recursive: true, preserveTimestamps: true });
  symlinkSync(join(top, "node_modules"), join(to, "node_modules"));
  return to;
}

function edit(tree: string, step: Step, undo = false): void {
  const [file, ...texts] = steps[step];
  const [at, becomes] = undo ? texts.toReversed() : texts;
  const path = join(tree, file);
  const text = readFileSync(path, "utf8");
  if (text.split(at!).length !== 2)
    throw new Error(`${file}: ${JSON.stringify(at)} does not stand there once: mend the step here`);
  writeFileSync(
    path,
    text.replace(at!, () => becomes!),
  );
}

/** A copy that was built with all steps, and in which one is then taken back. */
function without(step: Step): string {
  const copy = copyOf(whole, `without-${step}`);
  edit(copy, step, true);
  return copy;
}

async function run(cwd: string, command: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    cwd,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const printed = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, text: printed.join("") };
}

const bunTest = (cwd: string, args: string[]) =>
  run(cwd, [process.execPath, "test", ...args], { RUNS: "0.1" });

type Listener = Bun.TCPSocketListener<undefined>;

interface Shown {
  gid: number | null;
  local: { port: number };
}

/** A trace by the sources of the copy, and a listener that processes connect to. */
class Trace {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #lines: AsyncGenerator<string, void>;
  readonly #listener: Listener;

  private constructor(child: Bun.Subprocess<"ignore", "pipe", "pipe">, listener: Listener) {
    this.#child = child;
    this.#listener = listener;
    this.#lines = linesOf(child.stdout);
  }

  static async start(tree: string): Promise<Trace> {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data() {}, open: (socket) => void socket.end() },
    });
    const flags = ["--json", "--events", "connect", "--remoteport", `${listener.port}`];
    const command = [process.execPath, "src/main.ts", "trace", "--attach", "tracepoint"];
    const child = Bun.spawn([...command, ...flags], {
      cwd: tree,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    let told = "";
    for await (const line of linesOf(child.stderr)) {
      told += `${line}\n`;
      if (line.startsWith("tracing")) return new Trace(child, listener);
    }
    throw new Error(`the trace did not begin: ${told}`);
  }

  /** The local port of a connection by a process of this group. */
  async connectAs(gid: number): Promise<number> {
    const script = `
      process.setgid(${gid});
      const socket = await Bun.connect({
        hostname: "127.0.0.1", port: ${this.#listener.port}, socket: { data() {}, end() {} },
      });
      console.log(socket.localPort);
      socket.end();`;
    const { exitCode, text } = await run("/", [process.execPath, "-e", script]);
    expect(exitCode, text).toBe(0);
    return Number(text);
  }

  async next(): Promise<Shown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the trace has ended");
    return JSON.parse(value) as Shown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.stop(true);
    this.#child.kill("SIGINT");
    expect(await this.#child.exited).toBe(0);
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let begun = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const lines = (begun + decoder.decode(bytes, { stream: true })).split("\n");
    begun = lines.pop()!;
    yield* lines;
  }
}
