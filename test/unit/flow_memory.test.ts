/** The memory that UDP flows take in the tool: one socket that has sent to thousands of ends. */
import { expect, test } from "bun:test";
import type { KernelObject } from "../../src/kernel/object.ts";
import type { Shim } from "../../src/kernel/shim.ts";
import {
  ConnDirection,
  ConnFact,
  EventKind,
  eventSize,
  flowKeySize,
  flowSize,
  readEvent,
  writeEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { flowSource } from "../../src/trace/udp/flow_source.ts";
import { DEFAULT_FLOW_TIMEOUTS, Flows } from "../../src/trace/udp/flows.ts";
import { collecting } from "../../src/trace/udp/garbage.ts";

const FLOWS = 8192;
const NOW = 2_000_000_000n;

const base = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
const flowTo = (end: number): Event => ({
  ...base,
  kind: EventKind.EVENT_UDP_OPEN,
  direction: ConnDirection.DIRECTION_OUTGOING,
  sk: 0xffff_8880_0000_1000n,
  cookie: 7,
  timestamp: NOW,
  ended_at: NOW,
  flags: end === 0 ? ConnFact.FACT_FIRST_FLOW : 0,
  ends: { ...base.ends, sport: 40_000, dport: 53, daddr_l: (BigInt(end) << 8n) | 127n },
});

/** The kernel's maps: the first flow in udp_socks, the others in udp_flows. */
function source() {
  const entrySize = flowKeySize + flowSize;
  const entries = new Uint8Array(FLOWS * entrySize);
  const view = new DataView(entries.buffer);
  for (let n = 0; n < FLOWS; n++) writeEvent(view, n * entrySize + flowKeySize, flowTo(n + 1));
  const mapDump = (fd: number, _keySize: number, _valueSize: number, dst: Uint8Array): number => {
    if (fd === 1) {
      writeEvent(new DataView(dst.buffer), 8, flowTo(0));
      return 1;
    }
    const room = Math.min(FLOWS, Math.floor(dst.length / entrySize));
    dst.set(entries.subarray(0, room * entrySize));
    return room;
  };
  const shim = { mapDump, mapTake: () => true } as unknown as Shim;
  const object = { mapFd: (map: string) => (map === "udp_socks" ? 1 : 2) };
  return flowSource(shim, object as unknown as KernelObject, "kprobe", () => {}, FLOWS);
}

/** Bytes that are in use, without what waits to be collected. */
function used(): number {
  Bun.gc(true);
  const { heapUsed } = process.memoryUsage();
  return heapUsed;
}

test("a flow takes less than a kilobyte, and none is remembered when it is over but the one that stands for its socket", () => {
  const maps = source();
  const before = used();
  const flows = new Flows(maps, DEFAULT_FLOW_TIMEOUTS);
  let opened = 0;
  for (let n = 0; n <= FLOWS; n++) for (const _ of flows.event(flowTo(n))!) opened++;
  for (const _ of flows.tick(NOW)) opened++;
  expect(opened).toBe(FLOWS + 1);
  expect(flows.size).toBe(FLOWS + 1);
  expect((used() - before) / FLOWS).toBeLessThan(1024);
  let closed = 0;
  for (const _ of flows.tick(NOW + 60_000_000_000n)) closed++;
  expect(closed).toBe(FLOWS + 1);
  expect(flows.size).toBe(1);
});

test("garbage is collected while thousands of flows are told of, also as the last of them end, and never for few", () => {
  const collected = (flows: readonly number[]): [all: number, young: number] => {
    let [all, young] = [0, 0];
    const told = collecting(
      () => all++,
      () => young++,
    );
    for (const size of flows) told(size);
    return [all, young];
  };
  const upTo = (most: number) => Array.from({ length: most }, (_, n) => n);
  expect(collected([...upTo(65_536), ...upTo(65_536).toReversed()])).toEqual([61, 420]);
  expect(collected(Array.from({ length: 100_000 }, () => 4_000))).toEqual([0, 0]);
});
