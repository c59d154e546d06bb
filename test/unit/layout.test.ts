import { expect, test } from "bun:test";
import fc from "fast-check";
import { existsSync, readFileSync } from "node:fs";
import { HOST } from "../../src/build/arch.ts";
import { LAYOUT, layoutOf, objectFile, OBJECTS } from "../../src/build/native.ts";
import * as layout from "../../src/record/layout.gen.ts";
import {
  connSize,
  connStatsSize,
  connTupleSize,
  eventSize,
  readEvent,
  readOwner,
  tcpStatsSize,
  writeEvent,
  type Event,
} from "../../src/record/layout.gen.ts";

test("layout.gen.ts is what the BPF objects say", () => {
  const missing = OBJECTS.map((name) => objectFile(HOST, name)).filter((file) => !existsSync(file));
  if (missing.length > 0) throw new Error(`${missing.join(", ")} not built: run "bun run build"`);
  if (readFileSync(LAYOUT, "utf8") !== layoutOf(HOST))
    throw new Error(`${LAYOUT} is not up to date: run "bun run build" and commit it`);
});

test("the sizes that other tools know are kept", () => {
  expect({ connTupleSize, tcpStatsSize, connStatsSize, connSize }).toEqual({
    connTupleSize: 48,
    tcpStatsSize: 16,
    connStatsSize: 56,
    connSize: 120,
  });
});

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u16 = fc.integer({ min: 0, max: 2 ** 16 - 1 });
const u8 = fc.integer({ min: 0, max: 255 });
const event: fc.Arbitrary<Event> = fc.record({
  sk: u64,
  ends: fc.record({
    saddr_h: u64,
    saddr_l: u64,
    daddr_h: u64,
    daddr_l: u64,
    sport: u16,
    dport: u16,
    metadata: u32,
  }),
  owner: fc.record({
    pid: u32,
    uid: u32,
    owned_at: u32,
    cgroup_id: u64,
    program: u64,
    comm: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  }),
  sent_bytes: u64,
  recv_bytes: u64,
  sent_packets: u64,
  recv_packets: u64,
  timestamp: u64,
  started_at: u64,
  ended_at: u64,
  netns: u32,
  cookie: u32,
  flags: u32,
  rtt: u32,
  rtt_var: u32,
  retransmits: u32,
  state_transitions: u16,
  failure_reason: u16,
  kind: u8,
  direction: u8,
  legs: u8,
});

test("an event written at any place in a buffer is read back", () => {
  fc.assert(
    fc.property(event, fc.nat(64), (value, at) => {
      const view = new DataView(new Uint8Array(at + 8 + eventSize).buffer, 8);
      writeEvent(view, at, value);
      expect(readEvent(view, at)).toEqual(value);
    }),
  );
});

test("a place is where the reader finds the member, whatever the bytes", () => {
  const bytes = fc.uint8Array({ minLength: eventSize, maxLength: eventSize });
  fc.assert(
    fc.property(bytes, (some) => {
      const view = new DataView(some.buffer, some.byteOffset, some.byteLength);
      const { ends, owner, ...event } = readEvent(view, 0);
      expect(view.getBigUint64(layout.EVENT_ENDS_DADDR_L, true)).toBe(ends.daddr_l);
      expect(view.getUint16(layout.EVENT_ENDS_DPORT, true)).toBe(ends.dport);
      expect(readOwner(view, layout.EVENT_OWNER)).toEqual(owner);
      expect(view.getUint32(layout.EVENT_OWNER_UID, true)).toBe(owner.uid);
      expect(some[layout.EVENT_OWNER_COMM]).toBe(owner.comm[0]!);
      expect(view.getBigUint64(layout.EVENT_ENDED_AT, true)).toBe(event.ended_at);
      expect(view.getUint8(layout.EVENT_DIRECTION)).toBe(event.direction);
    }),
  );
});

test("bytes that were read stay when the buffer is used again", () => {
  const bytes = new Uint8Array(eventSize).fill(7);
  const { comm } = readEvent(new DataView(bytes.buffer), 0).owner;
  bytes.fill(9);
  expect([...comm]).toEqual(Array(16).fill(7));
});
