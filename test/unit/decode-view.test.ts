/** A member read at its place by number equals the member that the layout reads. */
import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import {
  ConnFact,
  ConnMetadata,
  EventKind,
  eventSize,
  EVENT_RECV_BYTES,
  EVENT_SENT_BYTES,
  EventView,
  readEvent,
} from "../../src/record/layout.gen.ts";
import { cgroupIdAt, kindAt, pidAt, plainEvent, toConnEvent } from "../../src/trace/event.ts";
import { addTotals, holdsTotals } from "../../src/trace/tcp/totals.ts";
import { addFlowTotals } from "../../src/trace/udp/totals.ts";
import { sockAt, sockOf } from "../../src/trace/sock.ts";
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

test("received bytes of a UDP flow are unknown, and nothing else, where a datagram's length was not told", () => {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  Object.assign(event, { sent_bytes: 1n, recv_bytes: 2n, sent_packets: 3n, recv_packets: 4n });
  const totals = (flags: number) =>
    toConnEvent({ ...event, flags }, "close", [addFlowTotals({ bytes: true, packets: true })])
      .totals!;
  expect(totals(0)).toMatchObject({ bytesReceived: 2n });
  expect(totals(ConnFact.FACT_RECEIVED_UNKNOWN)).toEqual({ ...totals(0), bytesReceived: null });
});

describe("counters of 32 bits", () => {
  const SECOND = 1_000_000_000n;
  const known = { bytesSent: true, bytesReceived: true, segs: true };
  const all = { ...known, rtt: true, rttVar: true, retransmits: true };
  /** As the kernel side would tell it after 2^32 + 7 segments, of which it counts 7. */
  const totals = (sent: bigint, received: bigint, seconds: bigint, flags = 0) => {
    const event = {
      ...readEvent(new DataView(new ArrayBuffer(eventSize)), 0),
      ...{ sent_packets: 7n, recv_packets: 8n, retransmits: 1, flags },
      ...{ sent_bytes: sent, recv_bytes: received, ended_at: seconds * SECOND },
    };
    event.ends.metadata = ConnMetadata.METADATA_TCP;
    const close = toConnEvent(event, "close", [addTotals(all)]).totals!;
    const sample = { ...event, kind: EventKind.EVENT_SAMPLE };
    expect(toConnEvent(sample, "sample", [addTotals(all)]).totals).toEqual(close);
    return close;
  };
  const unknown = { segsOut: null, segsIn: null, retransmits: null };

  test.each<[string, bigint, bigint, bigint]>([
    ["6 TB in a day", 6n << 40n, 0n, 86_400n],
    ["6 TB received", 0n, 6n << 40n, 86_400n],
    ["the smallest segments there are, for a minute", 8n << 32n, 0n, 60n],
    ["a byte per segment, for an hour", 5n << 30n, 0n, 3_600n],
    ["a byte per segment both ways", 5n << 29n, 5n << 29n, 3_600n],
  ])("are not known after %s", (_, sent, received, seconds) => {
    expect(totals(sent, received, seconds)).toMatchObject({ ...unknown, bytesSent: sent });
  });

  test.each<[string, bigint, bigint, bigint]>([
    ["3 GB, whatever took how long", 3n << 30n, 0n, 1_000_000n],
    ["10 GB in a minute: there is no time for so many writes", 0n, 10n << 30n, 60n],
    ["a count that is less than 0", -1n, -2n, 86_400n],
  ])("are known after %s", (_, sent, received, seconds) => {
    const unsigned = [sent, received].map((count) => BigInt.asUintN(64, count));
    expect(totals(unsigned[0]!, unsigned[1]!, seconds)).toMatchObject({
      ...{ segsOut: 7, segsIn: 8, retransmits: 1 },
    });
  });

  test("of a connection older than the trace are bounded by its bytes alone", () => {
    expect(totals(4n << 30n, 0n, 1n)).toMatchObject({ segsOut: 7 });
    expect(totals(4n << 30n, 0n, 1n, ConnFact.FACT_UNSEEN_OPEN)).toMatchObject(unknown);
  });

  test("never make a record that is shown as it is", () => {
    const view = new DataView(new ArrayBuffer(eventSize));
    expect(holdsTotals(view, 0)).toBe(true);
    for (const at of [EVENT_SENT_BYTES, EVENT_RECV_BYTES]) {
      for (let bit = 0n; bit < 64n; bit++) {
        view.setBigUint64(at, 1n << bit, true);
        // Half of what could wrap a counter, with the other direction.
        expect([bit, holdsTotals(view, 0)]).toEqual([bit, bit < 29n]);
      }
      view.setBigUint64(at, 0n, true);
    }
  });
});
