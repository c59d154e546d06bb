/** The bytes that are written by hand are those of the texts they stand for. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { wallTime, type ClockPair } from "../../src/conn/clock.ts";
import type { ConnEvent } from "../../src/conn/event.ts";
import { jsonLine } from "../../src/output/json.ts";
import { appendJson } from "../../src/output/json_fast.ts";
import { Lines, segment } from "../../src/output/lines.ts";
import { runs } from "./drive/random.ts";

const textOf = (lines: Lines): string => Buffer.from(lines.take(true).bytes).toString();
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

test("a number comes out in its decimal digits", () => {
  const lines = new Lines();
  const borders = [0, 9, 10, 999_999_999, 1e9, 2 ** 31, 2 ** 32, 2 ** 53 - 1];
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeNat(), fc.constantFrom(...borders)), (value) => {
      lines.integer(value);
      expect(textOf(lines)).toBe(String(value));
    }),
  );
  fc.assert(
    fc.property(fc.oneof(u64, fc.constantFrom(2n ** 53n - 1n, 2n ** 53n)), (value) => {
      lines.count64(value);
      expect(textOf(lines)).toBe(String(value));
    }),
  );
  lines.count64(null);
  expect(textOf(lines)).toBe("null");
});

test("lines longer than the room, and of any script, come out whole, and are counted", () => {
  const lines = new Lines();
  const some = ["", "a", "\u{1f41d} é", "x".repeat(200_000), "end"];
  for (const line of some) lines.line(line);
  expect(lines.count).toBe(some.length);
  expect(textOf(lines)).toBe(some.map((line) => `${line}\n`).join(""));
  expect(lines.count).toBe(0);
});

test("bytes that are held stay as they are while more is written", () => {
  const lines = new Lines();
  lines.line("first");
  const first = lines.take();
  lines.line("second");
  const second = lines.take();
  lines.line("third");
  expect(Buffer.from(first.bytes).toString()).toBe("first\n");
  first.done();
  expect(Buffer.from(second.bytes).toString()).toBe("second\n");
  expect(textOf(lines)).toBe("third\n");
});

describe("the fast JSON line is that of json.ts", () => {
  const few = <const T>(...values: T[]) => fc.constantFrom(...values);
  const orNull = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null });
  const endpoint = fc.record({
    address: few("127.0.0.1", "10.0.0.1", "::1"),
    port: fc.oneof(fc.nat(65535), few(0)),
  });
  const count = orNull(fc.oneof(u64, few(0n, 64n, 999n, 1000n, 2n ** 53n)));
  const u32 = orNull(fc.nat(2 ** 32 - 1));
  // Few values, so that what is remembered of one event meets another that differs in one member.
  const event: fc.Arbitrary<ConnEvent> = fc
    .record({
      event: fc.record({
        kind: few("connect", "accept", "close", "fail", "open"),
        protocol: few("tcp", "udp"),
        atNs: fc.bigInt({ min: 0n, max: 3_000_000_000n }),
        pid: few(null, 1, 2, 1025),
        comm: few(null, "", "a", 'b"\u{202e}', "caf\u{e9}\u{65e5}"),
        uid: few(null, 0, 1000),
        cgroup: few(null, "/", '/a"\u{202e}\n'),
        container: few(null, "c"),
        family: few(4, 6),
        direction: few("outgoing", "incoming", "unknown"),
        netns: few(null, 4026531840, 1),
        local: endpoint,
        remote: endpoint,
      }),
      user: few(undefined, null, "root"),
      name: few(undefined, undefined, null, "a.example"),
      args: few(undefined, null, "", 'a "b"\u{202e}'),
      failure: fc.option(few(111, null), { nil: undefined }),
      totals: fc.option(
        fc.record({
          bytesSent: count,
          bytesReceived: count,
          segsOut: u32,
          segsIn: u32,
          rttUs: u32,
          rttVarUs: u32,
          retransmits: u32,
          durationNs: count,
        }),
        { nil: undefined },
      ),
    })
    .map(({ event, user, name, args, failure, totals }) => ({
      ...event,
      ...(user === undefined ? {} : { user }),
      ...(name === undefined ? {} : { remote: { ...event.remote, name } }),
      ...(args === undefined ? {} : { args }),
      ...(failure === undefined ? {} : { failure }),
      ...(totals === undefined ? {} : { totals }),
    }));
  const pairs: ClockPair[] = [
    { monoNs: 1_999_999_999n, wallNs: 1_795_372_801_123_456_789n },
    { monoNs: 0n, wallNs: 1_795_372_801_999_999_999n },
  ];

  test("for any event at any time", () => {
    const lines = new Lines();
    fc.assert(
      fc.property(event, few(...pairs), (one, clocks) => {
        appendJson(lines, one, clocks);
        expect(textOf(lines)).toBe(`${jsonLine(one, wallTime(one.atNs, clocks))}\n`);
      }),
      runs(3000),
    );
  });

  const usual: ConnEvent = {
    kind: "connect",
    protocol: "tcp",
    atNs: 0n,
    pid: 1,
    comm: "a",
    uid: 1000,
    cgroup: "/a",
    container: "a",
    args: "a",
    family: 4,
    direction: "outgoing",
    netns: 1,
    local: { address: "127.0.0.1", port: 1 },
    remote: { address: "127.0.0.1", port: 2 },
  };

  test.each<[keyof ConnEvent, Partial<ConnEvent>]>([
    ["pid", { pid: 1 + 256 * 4 }],
    ["comm", { comm: "b" }],
    ["uid", { uid: 0 }],
    ["cgroup", { cgroup: "/b" }],
    ["container", { container: null }],
    ["args", { args: "b" }],
    ["family", { family: 6 }],
    ["direction", { direction: "incoming" }],
    ["netns", { netns: 2 }],
    ["local", { local: { address: "127.0.0.2", port: 1 } }],
    ["remote", { remote: { address: "127.0.0.2", port: 2 } }],
  ])("for an event that differs from the one before in its %s only", (_, change) => {
    const lines = new Lines();
    for (const one of [usual, { ...usual, ...change }, usual]) {
      appendJson(lines, one, pairs[0]!);
      expect(textOf(lines)).toBe(`${jsonLine(one, wallTime(0n, pairs[0]!))}\n`);
    }
  });
});

test("a segment comes out as its text, whatever follows it", () => {
  const lines = new Lines();
  const ascii = fc.integer({ min: 0, max: 127 }).map((n) => String.fromCharCode(n));
  const beyond = fc.constantFrom(
    "\u{e9}",
    "\u{65e5}",
    "\u{fffd}",
    "\u{1f41d}",
    "\u{10ffff}",
    "\x7f",
  );
  const text = fc.string({ unit: fc.oneof(ascii, beyond) });
  fc.assert(
    fc.property(fc.array(text), (texts) => {
      for (const text of texts) lines.segment(segment(text));
      expect(textOf(lines)).toBe(texts.join(""));
    }),
  );
});
