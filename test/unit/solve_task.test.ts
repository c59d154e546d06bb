/** Where tgid stands in struct task_struct: what copies of threads tell, and what they do not. */
import { expect, test } from "bun:test";
import { tgidOffsets, type TaskSample } from "../../src/guess/solve_task.ts";

/** A task_struct that holds these 32-bit numbers, each at its offset. */
function task(words: Record<number, number>): Uint8Array {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  for (const [offset, word] of Object.entries(words)) view.setUint32(Number(offset), word, true);
  return bytes;
}

const TGID = 4711;
/** pid at 128, tgid at 132; `more` differs from kernel to kernel. */
const thread = (pid: number, more: Record<number, number> = {}): TaskSample => ({
  bytes: task({ 128: pid, 132: TGID, ...more }),
  tgid: TGID,
  pid,
});
const inNamespace = (sample: TaskSample): TaskSample => ({ ...sample, pid: null });

test("tgid is where every copy holds the process behind the thread", () => {
  expect(tgidOffsets([thread(4712), thread(4713)])).toEqual([132]);
});

test("the number of the process elsewhere is no tgid", () => {
  const samples = [4712, 4713].map((pid) => thread(pid, { 4: TGID, 60: TGID, 64: 9 }));
  expect(tgidOffsets(samples)).toEqual([132]);
  expect(tgidOffsets(samples.map(inNamespace))).toEqual([132]);
});

test("a pair that only one copy has is chance", () => {
  const samples = [thread(4712, { 16: 4712, 20: TGID }), thread(4713)];
  expect(tgidOffsets(samples)).toEqual([132]);
});

test("two places are two candidates", () => {
  const samples = [4712, 4713].map((pid) => thread(pid, { 40: pid, 44: TGID }));
  expect(tgidOffsets(samples)).toEqual([44, 132]);
});

test("in a pid namespace the threads must differ, and not be the process itself", () => {
  expect(tgidOffsets([thread(4712), thread(4713)].map(inNamespace))).toEqual([132]);
  expect(tgidOffsets([thread(4712), thread(4712)].map(inNamespace))).toEqual([]);
  expect(tgidOffsets([thread(TGID), thread(4713)].map(inNamespace))).toEqual([]);
});

test("beyond what could be copied nothing is found, nor without copies", () => {
  const short = { ...thread(4712), bytes: thread(4712).bytes.subarray(0, 132) };
  expect(tgidOffsets([short, thread(4713)])).toEqual([]);
  expect(tgidOffsets([])).toEqual([]);
});
