/** A line that is made straight from a record is the line that is made of its event. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { wallTime } from "../../src/conn/clock.ts";
import { jsonLine } from "../../src/output/json.ts";
import { appendRecordJson } from "../../src/output/json_record.ts";
import { Lines } from "../../src/output/lines.ts";
import {
  ConnFact,
  ConnMetadata,
  eventSize,
  EventKind,
  EventView,
  readEvent,
  writeEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { kindOf, toConnEvent } from "../../src/trace/event.ts";
import { runs } from "./drive/random.ts";

const all = {
  bytesSent: true,
  bytesReceived: true,
  segs: true,
  rtt: true,
  rttVar: true,
  retransmits: true,
};
const udp = { bytes: true, packets: true };
/** As Groups, of ids that tell: the same for the same id. */
const groupOf = (pid: number | null, { cgroup_id: id }: { cgroup_id: bigint }) =>
  pid === null || id === 0n
    ? { cgroup: null, container: null }
    : { cgroup: `/${id}${id % 7n === 0n ? "\u202e" : ""}`, container: id % 2n ? `${id}` : null };

/** The line of the record; null: the record was not taken. */
function lineOf(event: Event, clocks: { monoNs: bigint; wallNs: bigint }, known = all) {
  const view = new DataView(new ArrayBuffer(eventSize + 8));
  writeEvent(view, 8, event);
  const describeIt = (of: DataView, p: number) => {
    const one = new EventView(of, p);
    return toConnEvent(one, kindOf(one)!, { tcp: known, udp, groupOf });
  };
  const lines = new Lines();
  const took = appendRecordJson(lines, view, 8, clocks, describeIt);
  const { bytes, done } = lines.take();
  const text = Buffer.from(bytes).toString();
  done();
  expect(text === "").toBe(!took);
  const shown = describeIt(view, 8);
  const right = `${jsonLine(shown, wallTime(shown.atNs, clocks))}\n`;
  return { text: took ? text : null, right };
}

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
/** Mostly what real connections have, but anything. */
const some = <T>(usual: fc.Arbitrary<T>, any: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: usual }, any);
const bytes = some(fc.bigInt({ min: 0n, max: 1n << 40n }), u64);
const address = some(fc.constantFrom(0x0100007fn, 0x0200000an, 0x0100007f_ffff0000n), u64);
const comm = some(
  fc
    .constantFrom("curl", "nginx: worker", 'a"b\\c', "\u001b[2J", "é", "")
    .map((text) => Uint8Array.from({ length: 16 }, (_, n) => Buffer.from(text)[n] ?? 0)),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);

const events: fc.Arbitrary<Event> = fc
  .record({
    saddr_h: some(fc.constant(0n), u64),
    saddr_l: address,
    daddr_h: some(fc.constant(0n), u64),
    daddr_l: address,
    ports: fc.tuple(some(fc.integer({ min: 1, max: 0xffff }), u16), u16),
    netns: some(fc.constant(4026531840), u32),
    pid: some(fc.integer({ min: 1, max: 5 }), u32),
    v6: fc.boolean(),
    counts: fc.array(u32, { minLength: 3, maxLength: 3 }),
    packets: fc.tuple(some(fc.bigInt({ min: 0n, max: 1n << 32n }), u64), bytes),
    sent: bytes,
    received: bytes,
    // Within one second, so that lines of one second follow each other.
    timestamp: some(fc.bigInt({ min: 5_000_000_000_000n, max: 5_000_900_000_000n }), u64),
    duration: bytes,
    direction: some(fc.constantFrom(1, 2), fc.integer({ min: 0, max: 255 })),
    comm,
    uid: some(fc.constantFrom(0, 1000), u32),
    cgroup: some(fc.constantFrom(0n, 1n, 2n, 1n << 32n), u64),
    kind: fc.constantFrom(EventKind.EVENT_CONNECT, EventKind.EVENT_ACCEPT, EventKind.EVENT_CLOSE),
    flags: some(
      fc.constantFrom(
        ConnFact.FACT_ESTABLISHED,
        ConnFact.FACT_ESTABLISHED | ConnFact.FACT_FIN_SENT,
      ),
      fc.integer({ min: 0, max: 2047 }),
    ),
  })
  .map((of) => ({
    sk: 0xffff_8880_0000_1000n,
    ends: {
      saddr_h: of.saddr_h,
      saddr_l: of.saddr_l,
      daddr_h: of.daddr_h,
      daddr_l: of.daddr_l,
      sport: of.ports[0],
      dport: of.ports[1],
      metadata: ConnMetadata.METADATA_TCP | (of.v6 ? ConnMetadata.METADATA_IPV6 : 0),
    },
    owner: {
      pid: of.pid,
      uid: of.uid,
      owned_at: 0,
      cgroup_id: of.cgroup,
      program: 0n,
      comm: of.comm,
    },
    sent_bytes: of.sent,
    recv_bytes: of.received,
    sent_packets: of.packets[0],
    recv_packets: of.packets[1],
    timestamp: of.timestamp,
    started_at: BigInt.asUintN(64, of.timestamp - of.duration),
    ended_at: of.timestamp,
    netns: of.netns,
    cookie: 1,
    flags: of.flags,
    rtt: of.counts[0]!,
    rtt_var: of.counts[1]!,
    retransmits: of.counts[2]!,
    state_transitions: 130,
    failure_reason: 104,
    kind: of.kind,
    direction: of.direction,
    legs: 0,
  }));

describe("a record's line", () => {
  const clocks = { monoNs: 5_000_000_000_000n, wallNs: 1_790_000_000_000_000_000n };

  test("is the line of its event, whatever the record holds; what is usual is taken", () => {
    let [taken, left] = [0, 0];
    const never = { ...all, rtt: false };
    fc.assert(
      fc.property(fc.array(events, { minLength: 1, maxLength: 20 }), fc.boolean(), (many, rtt) => {
        // Facts about a process do not change within a trace.
        const own = { ...clocks };
        for (const event of many) {
          const { text, right } = lineOf(event, own, rtt ? all : never);
          if (text === null) left++;
          else {
            taken++;
            expect(text).toBe(right);
          }
        }
      }),
      runs(2000),
    );
    expect(taken).toBeGreaterThan(runs(1000).numRuns);
    expect(left).toBeGreaterThan(runs(1000).numRuns);
    // A second on an idle machine.
  }, 60_000);

  const usual = (): Event => {
    const view = new DataView(new ArrayBuffer(eventSize));
    const event = readEvent(view, 0);
    Object.assign(event, { kind: EventKind.EVENT_CONNECT, flags: ConnFact.FACT_ESTABLISHED });
    Object.assign(event.owner, { pid: 9, comm: named("curl"), cgroup_id: 3n });
    const addresses = { saddr_l: 0x0100007fn, daddr_l: 0x0200000an, sport: 1, dport: 2 };
    const metadata = ConnMetadata.METADATA_TCP;
    Object.assign(event.ends, { ...addresses, metadata });
    Object.assign(event, { timestamp: 5_000_000_000_000n, direction: 2, netns: 7 });
    return event;
  };
  const named = (text: string) =>
    Uint8Array.from({ length: 16 }, (_, n) => Buffer.from(text)[n] ?? 0);

  test.each<[string, (event: Event) => void]>([
    ["user", (event) => (event.owner.uid = 1)],
    ["control group", (event) => (event.owner.cgroup_id = 5n)],
    ["control group's high word", (event) => (event.owner.cgroup_id = 3n + (1n << 32n))],
    ["command", (event) => (event.owner.comm = named("curl2"))],
    // Another one in the same slot.
    ["process", (event) => (event.owner.pid += 1024)],
    ["namespace", (event) => (event.netns = 8)],
    ["address", (event) => (event.ends.saddr_l = 0x0200007fn)],
  ])("is not that of a record that differs in its %s only", (_, change) => {
    const other = usual();
    change(other);
    const own = { ...clocks };
    for (const event of [usual(), other, usual()]) {
      const { text, right } = lineOf(event, own);
      expect(text).toBe(right);
    }
  });

  test("follows a clock that somebody has set", () => {
    const usual = fc.sample(events, { numRuns: 1000, seed: 1 }).find((one) => {
      one.timestamp = 5_000_000_000_000n;
      return lineOf(one, { ...clocks }).text !== null;
    });
    for (const wallNs of [clocks.wallNs, clocks.wallNs + 3_600_000_000_000n, 1n]) {
      const { text, right } = lineOf(usual!, { ...clocks, wallNs });
      expect(text).toBe(right);
    }
  });
});
