/**
 * A look of the tool at other processes' descriptors holds the file that it visits. If its process closes it in that moment,
 * the kernel closes the socket in the tool's thread. The tool is not named as the closer then.
 */
import { dlopen } from "bun:ffi";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { buildNative } from "./native.ts";

// A compiler is run.
setDefaultTimeout(300_000);

const TOOL = 701;
const TOOLS_WORKER = 703;
const SERVER = 907;
const NOBODY = 0;

let directory: string;
let closerNamed: (by: bigint, visits: bigint, owner: number) => number;
let closerNamedAtLast: (by: bigint, visits: bigint, later: bigint) => number;

beforeAll(() => {
  const built = buildNative("closer");
  directory = built.directory;
  const { symbols } = dlopen(built.library, {
    closer_named: { args: ["u64", "u64", "u32"], returns: "u32" },
    closer_named_at_last: { args: ["u64", "u64", "u64"], returns: "u32" },
  });
  closerNamed = symbols.closer_named;
  closerNamedAtLast = symbols.closer_named_at_last;
});
afterAll(() => rmSync(directory, { recursive: true }));

/** As bpf_get_current_pid_tgid() gives it. */
const thread = (tgid: number, pid: number): bigint => (BigInt(tgid) << 32n) | BigInt(pid);

test.each([
  ["the server closes, nobody looks", thread(SERVER, SERVER), 0n, SERVER],
  ["the server closes, the tool looks", thread(SERVER, SERVER), thread(TOOL, TOOL), SERVER],
  ["the tool's thread closes while it looks", thread(TOOL, TOOL), thread(TOOL, TOOL), NOBODY],
  ["another thread of the tool closes", thread(TOOL, TOOLS_WORKER), thread(TOOL, TOOL), TOOL],
  ["the thread that looks has no known number", thread(TOOL, TOOL), thread(TOOL, 0), NOBODY],
  ["the tool closes what is its own, nobody looks", thread(TOOL, TOOL), 0n, TOOL],
])("%s", (_, by, visits, closer) => {
  expect(closerNamed(by, visits, 0)).toBe(closer);
});

test("an owner who was seen to open it stays", () => {
  expect(closerNamed(thread(TOOL, TOOL), thread(TOOL, TOOL), SERVER)).toBe(SERVER);
});

test("the task in which the kernel destroys the sock afterwards is not the closer", () => {
  const [tool, server] = [thread(TOOL, TOOL), thread(SERVER, SERVER)];
  expect(closerNamedAtLast(tool, tool, server)).toBe(NOBODY);
  expect(closerNamedAtLast(server, 0n, tool)).toBe(SERVER);
});
