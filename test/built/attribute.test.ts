/**
 * The attribute `gid` is added to a copy of the sources in the steps of CONTRIBUTING.md. The copy builds, its tests pass,
 * and it shows each process its own gid. A copy in which any one step is left out does not build, or a test fails.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bunTest, contributing, Copies, edit, run, top, Trace, TSC } from "./copy.ts";

setDefaultTimeout(600_000);

/** By step: the file, the text in front of which a line is put or which a line replaces, and the line. */
const steps = {
  record: ["bpf/record.h", "\tu64 cgroup_id;", "\tu32 gid;\n\tu32 _pad;\n\tu64 cgroup_id;"],
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

/** Where the struct has no room left, these grow with it. */
const sizes = [
  ["SIZE_IS(struct owner, 48)", "SIZE_IS(struct owner, 56)"],
  ["SIZE_IS(struct event, 184)", "SIZE_IS(struct event, 192)"],
  ["SIZE_IS(struct event_batch, 768)", "SIZE_IS(struct event_batch, 800)"],
] as const;
const stepNames = Object.keys(steps) as Step[];

const copies = new Copies("attribute");
let whole: string;

beforeAll(async () => {
  whole = copies.of(top, "whole");
  for (const step of stepNames) edit(whole, steps[step]);
  for (const [size, grown] of sizes) edit(whole, ["bpf/record.h", size, grown]);
  const built = await run(whole, [process.execPath, "build.ts", "--dev"]);
  expect(built).toMatchObject({ exitCode: 0 });
  expect(await run(whole, [process.execPath, "run", "docs"])).toMatchObject({ exitCode: 0 });
});
afterAll(() => copies[Symbol.dispose]());

test("CONTRIBUTING.md names the files of the steps, and no other source", () => {
  const section = contributing("To add an attribute of an event");
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

  test("the tests of members and documents pass, and those of what two events share", async () => {
    const all = await bunTest(whole, unit("members", "schema", "documents", "layout", "state"));
    expect(all.exitCode, all.text).toBe(0);
    const shared = await bunTest(whole, ["-t", "differ in", ...unit("straight", "recording")]);
    expect(shared.exitCode, shared.text).toBe(0);
    // Of each format, and of the recording.
    expect(shared.text.match(/^\(pass\) .* that differ in gid alone /gm)).toHaveLength(6);
  });

  test("the trace shows each of two processes its own", async () => {
    using listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data() {}, open: (socket) => void socket.end() },
    });
    const flags = ["--events", "connect", "--remoteport", `${listener.port}`];
    await using trace = await Trace.start<Shown>(whole, flags);
    const own = new Map<number, number>();
    const seen = new Set<number>();
    // On a busy machine the tracepoint mode can miss an event.
    while (seen.size < 2) {
      for (const gid of [1234, 4321]) own.set(await connectAs(gid, listener.port), gid);
      const { gid, local } = await trace.next();
      expect(gid).toBe(own.get(local.port)!);
      seen.add(gid!);
    }
    expect(await trace.stop()).toBe(0);
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
      ...unit("layout"),
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
    const copy = copies.of(whole, "documents");
    cpSync(join(top, "docs"), join(copy, "docs"), { recursive: true });
    const { exitCode, text } = await bunTest(copy, unit("documents"));
    expect(exitCode).not.toBe(0);
    for (const page of ["fields", "reference"])
      expect(text).toContain(`(fail) docs/${page}.md is what \`bun run docs\` writes`);
  });
});

// --- internal ---

/** A copy that was built with all steps, and in which one is then taken back. */
function without(step: Step): string {
  const copy = copies.of(whole, `without-${step}`);
  const [file, at, becomes] = steps[step];
  edit(copy, [file, becomes, at]);
  if (step === "record")
    for (const [size, grown] of sizes) edit(copy, ["bpf/record.h", grown, size]);
  return copy;
}

const unit = (...names: string[]): string[] => names.map((name) => `./test/unit/${name}.test.ts`);

interface Shown {
  gid: number | null;
  local: { port: number };
}

/** The local port of a connection by a process of this group. */
async function connectAs(gid: number, port: number): Promise<number> {
  const script = `
    process.setgid(${gid});
    const socket = await Bun.connect({
      hostname: "127.0.0.1", port: ${port}, socket: { data() {}, end() {} },
    });
    console.log(socket.localPort);
    socket.end();`;
  const { exitCode, text } = await run("/", [process.execPath, "-e", script]);
  expect(exitCode, text).toBe(0);
  return Number(text);
}
