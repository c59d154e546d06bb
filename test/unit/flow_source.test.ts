/** The kernel's two maps of UDP flows, read by the tool. */
import { expect, test } from "bun:test";
import type { KernelObject } from "../../src/kernel/object.ts";
import type { Shim } from "../../src/kernel/shim.ts";
import { flowKeySize, flowSize, readFlow, writeFlow } from "../../src/record/layout.gen.ts";
import { flowSource } from "../../src/trace/udp/flow_source.ts";

const FLOWS = 1;
const SOCKS = 2;
const object = {
  mapFd: (map: string) => (map === "udp_flows" ? FLOWS : SOCKS),
  progFd: () => 3,
} as unknown as KernelObject;

/** Entries whose sock is the number of the entry; map 1 holds `count`, map 2 twice as many. */
function shim(count: number): Shim {
  const mapDump = (fd: number, keySize: number, valueSize: number, dst: Uint8Array): number => {
    const room = Math.floor(dst.length / (keySize + valueSize));
    const entries = Math.min(room, fd * count);
    const view = new DataView(dst.buffer);
    for (let i = 0; i < entries; i++)
      view.setBigUint64(i * (keySize + valueSize) + keySize, BigInt(fd * 1_000_000 + i), true);
    return entries;
  };
  return { mapDump, testRun: () => 0, mapTake: () => false } as unknown as Shim;
}

test("a dump has every flow of both maps, however many, those of udp_flows first", () => {
  const source = flowSource(shim(1000), object, "kprobe");
  const socks = [...source.dump()].map(({ event }) => Number(event.sk));
  const numbers = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => from + i);
  expect(socks).toEqual([...numbers(1_000_000, 1000), ...numbers(2_000_000, 2000)]);
});

test("a dump of what has moved since has the flows with a datagram then or later, and no others", () => {
  const now = 1n << 40n;
  const times = [now - 1n, now, now + 1n];
  const mapDump = (_fd: number, keySize: number, valueSize: number, dst: Uint8Array): number => {
    const view = new DataView(dst.buffer);
    const flow = readFlow(new DataView(new ArrayBuffer(flowSize)), 0);
    for (const [i, timestamp] of times.entries()) {
      flow.event.ended_at = timestamp;
      writeFlow(view, i * (keySize + valueSize) + keySize, flow);
    }
    return times.length;
  };
  const source = flowSource({ mapDump } as unknown as Shim, object, "kprobe");
  const dumped = (since?: bigint) => [...source.dump(since)].map(({ event }) => event.ended_at);
  expect(dumped(now)).toEqual([...times.slice(1), ...times.slice(1)]);
  expect(dumped()).toEqual([...times, ...times]);
});

test("the rings are looked after before each flow that is dumped, taken or asked for", () => {
  let calls = 0;
  const source = flowSource(shim(10), object, "tracepoint", () => void calls++);
  let dumped = 0;
  for (const _ of source.dump()) expect(calls).toBe(++dumped);
  expect(dumped).toBe(30);
  const { event } = readFlow(new DataView(new ArrayBuffer(flowKeySize + flowSize)), 0);
  source.take(event);
  source.lookAfter([event, event]);
  expect(calls).toBe(33);
});
