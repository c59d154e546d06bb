/** Accepts of the tracepoint mode: a handshake waits for its accept, and none is forgotten without being counted. */
import { expect, test } from "bun:test";
import {
  ConnFact,
  EventKind,
  eventSize,
  readEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { Acceptors } from "../../src/trace/tcp/acceptors.ts";
import { Accepts, type AcceptState } from "../../src/trace/tcp/accepts.ts";

import { nobodyHolds } from "./drive/holders.ts";

function eventOf(kind: number, sk: bigint, cookie: number, flags = 0): Event {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  event.cookie = cookie;
  return { ...event, kind, sk, flags };
}
const handshake = (sk: bigint, cookie: number) => eventOf(EventKind.EVENT_PASSIVE, sk, cookie);
const close = (sk: bigint, cookie: number, flags: number = ConnFact.FACT_ACCEPTED) =>
  eventOf(EventKind.EVENT_CLOSE, sk, cookie, flags);

function acceptsOf(states: Map<bigint, AcceptState>): Accepts {
  return new Accepts((sk) => states.get(sk) ?? { state: "gone" }, new Acceptors(nobodyHolds));
}

test("a handshake is told when somebody has accepted it, once", () => {
  const states = new Map<bigint, AcceptState>([[1n, { state: "waiting" }]]);
  const accepts = acceptsOf(states);
  accepts.established(handshake(1n, 11));
  expect(accepts.poll(0n)).toEqual([]);
  states.set(1n, { state: "accepted", ino: 7 });
  // A reader may copy the event with spread syntax; a view cannot be copied so.
  expect(accepts.poll(0n).map((event) => ({ ...event }).sk)).toEqual([1n]);
  expect(accepts.poll(0n)).toEqual([]);
  expect(accepts.closed(close(1n, 11))).toBeNull();
  expect(accepts.lost).toBe(0n);
});

test("a close that comes first brings the accept along, or says that there was none", () => {
  const accepts = acceptsOf(new Map());
  accepts.established(handshake(1n, 11));
  accepts.established(handshake(2n, 13));
  const told = accepts.closed(close(1n, 11)) as Event;
  expect({ ...told }).toMatchObject({ kind: EventKind.EVENT_ACCEPT, sk: 1n });
  expect(accepts.closed(close(2n, 13, 0))).toBe("unaccepted");
  expect(accepts.dueMs(0n)).toBe(Infinity);
  expect(accepts.lost).toBe(0n);
});

test("an accept that its close brings along is of the process that the close is known to be of", () => {
  const accepts = acceptsOf(new Map());
  accepts.established(handshake(1n, 11));
  accepts.established(handshake(2n, 13));
  const { FACT_ACCEPTED, FACT_FOLLOWED } = ConnFact;
  expect(accepts.closed(close(1n, 11, FACT_ACCEPTED | FACT_FOLLOWED))).toMatchObject({
    flags: FACT_FOLLOWED,
  });
  expect(accepts.closed(close(2n, 13, FACT_ACCEPTED))).toMatchObject({ flags: 0 });
});

test("a connection that is gone waits one poll for its close, and is counted when none came", () => {
  const accepts = acceptsOf(new Map());
  accepts.established(handshake(1n, 11));
  accepts.established(handshake(2n, 13));
  accepts.poll(0n);
  expect(accepts.lost).toBe(0n);
  expect(accepts.closed(close(1n, 11))).not.toBeNull();
  accepts.poll(0n);
  expect(accepts.lost).toBe(1n);
  expect(accepts.dueMs(0n)).toBe(Infinity);
});

test("a connection whose sock carries another by now is counted", () => {
  const accepts = acceptsOf(new Map([[1n, { state: "waiting" }]]));
  accepts.established(handshake(1n, 11));
  accepts.established(handshake(1n, 17));
  expect(accepts.lost).toBe(1n);
  expect(accepts.closed(close(1n, 17))).not.toBeNull();
});

const SECOND = 1_000_000_000n;

/** How often each of 100 connections is asked about in this time, at ten polls a second. */
function askedIn(seconds: bigint): number {
  let asked = 0;
  const accepts = new Accepts(() => (asked++, { state: "waiting" }), new Acceptors(nobodyHolds));
  for (let sk = 1n; sk <= 100n; sk++) accepts.established(handshake(sk, 11));
  for (let now = 0n; now < seconds * SECOND; now += SECOND / 10n) accepts.poll(now);
  return asked / 100;
}

test("the kernel is asked about a connection that nobody accepts less and less often", () => {
  expect(askedIn(1n)).toBeGreaterThanOrEqual(8);
  expect(askedIn(60n)).toBeLessThan(60);
  // From then on each 5 seconds.
  expect(askedIn(660n) - askedIn(60n)).toBeCloseTo(600 / 5, -1);
});

test("an accept is told at most an eighth of its waiting late, or 5 seconds", () => {
  for (const waited of [1n, 20n, 300n]) {
    const states = new Map<bigint, AcceptState>([[1n, { state: "waiting" }]]);
    const accepts = acceptsOf(states);
    accepts.established(handshake(1n, 11));
    let now = 0n;
    for (; now < waited * SECOND; now += SECOND / 10n) accepts.poll(now);
    states.set(1n, { state: "accepted", ino: 7 });
    const begun = now;
    const due = accepts.dueMs(now);
    expect(due).toBeLessThanOrEqual(Math.min(5000, Number(waited) * 125));
    while (accepts.poll(now).length === 0) now += SECOND / 10n;
    expect(Number(now - begun) / 1e6).toBeLessThanOrEqual(due + 100);
  }
});

test("the last poll asks about all", () => {
  const states = new Map<bigint, AcceptState>([[1n, { state: "waiting" }]]);
  const accepts = acceptsOf(states);
  accepts.established(handshake(1n, 11));
  accepts.poll(300n * SECOND);
  states.set(1n, { state: "accepted", ino: 7 });
  expect(accepts.poll(300n * SECOND)).toEqual([]);
  expect(accepts.poll(300n * SECOND, true)).toHaveLength(1);
});
