import { expect, test } from "bun:test";
import fc from "fast-check";
import { existsSync, readFileSync } from "node:fs";
import { HOST } from "../../src/build/arch.ts";
import { LAYOUT, layoutOf, objectFile, OBJECTS } from "../../src/build/native.ts";
import {
  connSize,
  connStatsSize,
  connTupleSize,
  eventSize,
  guessAnswerSize,
  readEvent,
  readGuessAnswer,
  tcpStatsSize,
  writeEvent,
  writeGuessAnswer,
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
  conn: fc.record({
    tup: fc.record({
      saddr_h: u64,
      saddr_l: u64,
      daddr_h: u64,
      daddr_l: u64,
      sport: u16,
      dport: u16,
      netns: u32,
      pid: u32,
      metadata: u32,
    }),
    tcp_stats: fc.record({
      rtt: u32,
      rtt_var: u32,
      retransmits: u32,
      state_transitions: u16,
      failure_reason: u16,
    }),
    conn_stats: fc.record({
      sent_bytes: u64,
      recv_bytes: u64,
      sent_packets: u32,
      recv_packets: u32,
      timestamp: u64,
      duration: u64,
      cookie: u32,
      protocol_stack: fc.record({ api: u8, application: u8, encryption: u8, flags: u8 }),
      flags: u8,
      direction: u8,
    }),
  }),
  comm: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  kind: u32,
  flags: u32,
  uid: u32,
  owned_at: u32,
  cgroup_id: u64,
  program: u64,
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

test("bytes that were read stay when the buffer is used again", () => {
  const bytes = new Uint8Array(eventSize).fill(7);
  const { comm } = readEvent(new DataView(bytes.buffer), 0);
  bytes.fill(9);
  expect([...comm]).toEqual(Array(16).fill(7));
});

test("an array of 64-bit numbers is read back", () => {
  const view = new DataView(new ArrayBuffer(guessAnswerSize));
  const answer = {
    sequence: 1n,
    pid_tgid: 2n,
    sk: 2n ** 64n - 1n,
    valid: [3n, 2n ** 63n],
    task: 4n,
  };
  writeGuessAnswer(view, 0, answer);
  expect(readGuessAnswer(view, 0)).toEqual(answer);
});
