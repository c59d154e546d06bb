/** The time that a connect took, and that an accepted connection had waited: see addTotals() of src/trace/tcp/totals.ts. */
import { describe, expect, test } from "bun:test";
import type { EventKind } from "../../src/conn/event.ts";
import {
  ConnFact,
  ConnMetadata,
  eventSize,
  EventKind as Kind,
  EventView,
  FailureReason,
  readEvent,
  writeEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { toConnEvent } from "../../src/trace/event.ts";
import { addTotals } from "../../src/trace/tcp/totals.ts";

const known = {
  ...{ bytesSent: true, bytesReceived: true, segs: true },
  ...{ rtt: true, rttVar: true, retransmits: true },
};

function timesOf(kind: EventKind, of: Partial<Event>) {
  const view = new DataView(new ArrayBuffer(eventSize));
  const empty = readEvent(view, 0);
  const ends = { ...empty.ends, metadata: ConnMetadata.METADATA_TCP };
  writeEvent(view, 0, { ...empty, ends, started_at: 1_000n, timestamp: 45_000n, ...of });
  return toConnEvent(new EventView(view, 0), kind, [addTotals(known)]);
}

const timeOf = (kind: EventKind, of: Partial<Event>) => timesOf(kind, of).connectNs;

test("a connect took from its SYN to its end; a close and an accept have no such time", () => {
  expect(timeOf("connect", { kind: Kind.EVENT_CONNECT })).toBe(44_000n);
  expect(timeOf("close", { kind: Kind.EVENT_CLOSE })).toBeUndefined();
  expect(timeOf("accept", { kind: Kind.EVENT_ACCEPT })).toBeUndefined();
});

describe("it is not known of a connect", () => {
  test.each<[string, Partial<Event>]>([
    ["whose SYN left before the trace", { flags: ConnFact.FACT_UNSEEN_OPEN }],
    ["without a SYN", { flags: ConnFact.FACT_NO_SYN }],
    ["whose handshake was missed", { timestamp: 1_000n }],
  ])("%s", (_, of) => expect(timeOf("connect", of)).toBeNull());
});

test("a failure has it if its reason shows that a SYN was sent", () => {
  const fail = (failure_reason: number) =>
    timeOf("fail", { flags: ConnFact.FACT_FAILED, failure_reason });
  expect(fail(FailureReason.FAILURE_REFUSED)).toBe(44_000n);
  expect(fail(FailureReason.FAILURE_TIMED_OUT)).toBe(44_000n);
  expect(fail(FailureReason.FAILURE_CANCELLED)).toBe(44_000n);
  // connect(2) fails so without a route, or when an ICMP message says so.
  expect(fail(FailureReason.FAILURE_HOST_UNREACHABLE)).toBeNull();
  expect(fail(FailureReason.FAILURE_NETWORK_UNREACHABLE)).toBeNull();
  expect(fail(0)).toBeNull();
});

test("an accept has the time that the connection waited, if the kernel side tells it", () => {
  const wait = (of: Partial<Event>) =>
    timesOf("accept", { kind: Kind.EVENT_ACCEPT, ended_at: 5_000n, ...of }).acceptNs;
  expect(wait({ flags: ConnFact.FACT_WAIT_KNOWN })).toBe(40_000n);
  expect(wait({})).toBeNull();
  expect(wait({ flags: ConnFact.FACT_WAIT_KNOWN, ended_at: 45_000n })).toBeNull();
  expect(timesOf("connect", { flags: ConnFact.FACT_WAIT_KNOWN }).acceptNs).toBeUndefined();
});
