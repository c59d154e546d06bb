/** The cost that a trace reports equals the cost that the kernel counted. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Records } from "../../src/record/records.ts";
import { openTrace } from "../../src/trace/tracer.ts";
import { programStats } from "../bench/bpf_stats.ts";
import { guessed, startGuessed } from "./drive/guessed.ts";
import { linuxAtLeast, modes } from "./drive/modes.ts";
import { pair } from "./drive/peer.ts";
import { Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const CLOCK_TICKS = 100;

/** Seconds of user and system time, to a hundredth. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

const peakBytes = (pid: number): number =>
  Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]) * 1024;

function connect(times: number): void {
  for (let n = 0; n < times; n++) {
    const { client, server } = pair();
    client.close();
    server.close();
  }
}

function kernelCost(pid: number) {
  const sum = { ns: 0, runs: 0 };
  for (const { ns, runs } of programStats(pid)) {
    sum.ns += ns;
    sum.runs += runs;
  }
  return sum;
}

const costOf = ({ stderr }: Tracer) =>
  /^own cost: ([\d.]+) s of CPU \(([\d.]+) % of one processor\), (\d+) MB of memory at its peak(.*)$/m
    .exec(stderr)!
    .slice(1);

test.each(modes)(
  "a %s trace with all its parts offers many records at once to whoever can take them",
  async (mode) => {
    const offsetsFile = await guessed(mode);
    await using trace = await openTrace({ attach: mode, debug: false, offsetsFile });
    let offered = 0;
    const sink = {
      event() {},
      record: () => true,
      records({ from, to, conditions }: Records) {
        expect(conditions).toBeGreaterThan(0);
        offered += to - from;
        return 0;
      },
    };
    const deadline = performance.now() + 60_000;
    while (offered === 0) {
      if (performance.now() > deadline) throw new Error("none was offered");
      connect(1);
      trace.pollInto(sink, false);
      await trace.wait(0, 10);
    }
  },
);

test.each(modes)("a %s trace tells its own time and memory as the kernel does", async (mode) => {
  await guessed(mode);
  const begun = performance.now();
  const tracer = await startGuessed(mode);
  const tracing = performance.now();
  connect(200);
  await tracer.until(() => tracer.events.length >= 800, "all events");
  const before = { cpu: cpuSeconds(tracer.pid), peak: peakBytes(tracer.pid) };
  const seen = performance.now();
  expect(await tracer.stop()).toBe(0);
  const ended = performance.now();
  const [cpu, share, peak] = costOf(tracer).map(Number) as [number, number, number];
  const usage = tracer.process.resourceUsage()!;
  const after = { cpu: Number(usage.cpuTime.total) / 1e6, peak: Number(usage.maxRSS) };
  // In between lies the end of the trace: half a second of an emulated guest.
  expect(cpu).toBeGreaterThanOrEqual(before.cpu - 2 / CLOCK_TICKS);
  expect(cpu).toBeLessThanOrEqual(after.cpu + 0.01);
  expect(peak * 1e6).toBeGreaterThanOrEqual(before.peak - 0.5e6);
  expect(peak * 1e6).toBeLessThanOrEqual(after.peak + 0.5e6);
  // It lived no longer than from its start to its end, and no shorter than it was seen to trace.
  expect(share).toBeGreaterThan((0.98 * 100 * cpu * 1000) / (ended - begun));
  expect(share).toBeLessThan((1.1 * 100 * cpu * 1000) / (seen - tracing) + 0.1);
});

test.each(modes)("a %s trace tells what its programs take in the kernel", async (mode) => {
  const tracer = await startGuessed(mode);
  // Connections until nothing is measured any more: the first window is over.
  let last = kernelCost(tracer.pid);
  const told = linuxAtLeast(5, 8);
  const deadline = performance.now() + 60_000;
  for (let same = 0; same < 5;) {
    connect(20);
    await Bun.sleep(200);
    const now = kernelCost(tracer.pid);
    same = now.runs === last.runs && (!told || now.runs > 0) ? same + 1 : 0;
    last = now;
    if (performance.now() > deadline) throw new Error("the kernel goes on measuring");
  }
  expect(await tracer.stop()).toBe(0);
  const [, , , inKernel] = costOf(tracer);
  if (!told) return expect(inKernel).toBe("");
  const [, perRun, share] =
    /^; in the kernel ([\d,]+) ns per program run, ([\d.]+) % of one processor$/
      .exec(inKernel!)!
      .map((text) => Number(text.replaceAll(",", "")));
  // Exactly, unless somebody else had the kernel measure as well.
  const expected = last.ns / last.runs;
  expect(perRun!).toBeGreaterThan(0.8 * expected - 1);
  expect(perRun!).toBeLessThan(1.25 * expected + 1);
  // A window is a second, or a little more: it ends at a poll.
  expect(share!).toBeGreaterThan((0.15 * last.ns) / 1e7);
  expect(share!).toBeLessThan((1.3 * last.ns) / 1e7);
});
