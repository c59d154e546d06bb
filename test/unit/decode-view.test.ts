/** A member read at its place by number equals the member that the layout reads. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  ConnFact,
  ConnMetadata,
  eventSize,
  EventView,
  readEvent,
} from "../../src/record/layout.gen.ts";
import { cgroupIdAt, kindAt, pidAt, plainEvent, toConnEvent } from "../../src/trace/event.ts";
import { addTotals } from "../../src/trace/tcp/totals.ts";
import { sockAt, sockOf } from "../../src/trace/tcp/sock.ts";
import { readRecords } from "./drained.ts";

test("a view gives what a reader gives, member by member", () => {
  const bytes = fc.uint8Array({ minLength: eventSize, maxLength: eventSize });
  fc.assert(
    fc.property(bytes, (some) => {
      const view = new DataView(some.buffer, some.byteOffset, some.byteLength);
      const event = new EventView(view, 0);
      const plain = readEvent(view, 0);
      const { ends, owner, ...rest } = plain;
      for (const [name, value] of Object.entries(rest))
        expect(event[name as keyof typeof rest]).toBe(value);
      for (const [name, value] of Object.entries(ends))
        expect(event.ends[name as keyof typeof ends]).toBe(value);
      for (const [name, value] of Object.entries(owner))
        expect(event.owner[name as keyof typeof owner]).toEqual(value);
      expect(plainEvent(event)).toEqual(plain);
      expect([kindAt(view, 0), pidAt(view, 0)]).toEqual([plain.kind, plain.owner.pid]);
      expect(cgroupIdAt(view, 0)).toBe(Number(plain.owner.cgroup_id));
      expect(sockAt(view, 0)).toBe(sockOf(plain));
    }),
  );
});

test("the events of a drain lie behind each other, each behind its size", () => {
  const size = eventSize + 4;
  const drained = new Uint8Array(2 * (8 + size + 4));
  const view = new DataView(drained.buffer);
  for (const n of [0, 1]) {
    view.setUint32(n * (12 + size), size, true);
    view.setBigUint64(n * (12 + size) + 8, BigInt(n + 1), true);
  }
  expect(readRecords(drained).map(({ sk }) => sk)).toEqual([1n, 2n]);
});

test("totals of a connection that were not read in time are unknown, and its duration is not", () => {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  event.ends.metadata = ConnMetadata.METADATA_TCP;
  Object.assign(event, { sent_bytes: 1n, recv_bytes: 2n, started_at: 4n, ended_at: 7n });
  const known = { bytesSent: true, bytesReceived: true, segs: true };
  const all = { ...known, rtt: true, rttVar: true, retransmits: true };
  const totals = (flags: number) =>
    toConnEvent({ ...event, flags }, "close", [addTotals(all)]).totals!;
  expect(totals(0)).toMatchObject({ bytesSent: 1n, bytesReceived: 2n, durationNs: 3n });
  const { durationNs, ...others } = totals(ConnFact.FACT_TOTALS_LOST);
  expect(durationNs).toBe(3n);
  expect(new Set(Object.values(others))).toEqual(new Set([null]));
});
