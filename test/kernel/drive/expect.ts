/** Compares the tracer's lines about one end of a connection with the end's own counts. */
import { expect } from "bun:test";
import type { Peer, Truth } from "./peer.ts";
import { membersOf, openKeys, type Event, type Tracer } from "./tracer.ts";

export interface Allowed {
  /**
   * Tracepoint mode only: state changes run in any task, so the process of an accept is asked for at the next poll,
   * and is unknown when the socket is gone by then. An owner that is named must still be the right one.
   */
  unknownAcceptor?: boolean;
}

/** Both lines of a connection that was opened and closed during the trace. */
export async function expectConnection(
  tracer: Tracer,
  end: Peer | Truth,
  allowed: Allowed = { unknownAcceptor: tracer.mode === "tracepoint" },
): Promise<{ opened: Event; closed: Event }> {
  const truth = "truth" in end ? end.truth : end;
  const closed = await expectClosed(tracer, truth);
  const opened = await expectOpened(tracer, truth, allowed);
  expect(tracer.events.indexOf(closed, tracer.events.indexOf(opened))).not.toBe(-1);
  expect(opened.time <= closed.time).toBe(true);
  expect(closed.id).toBe(opened.id);
  return { opened, closed };
}

export async function expectOpened(
  tracer: Tracer,
  truth: Truth,
  allowed: Allowed = { unknownAcceptor: tracer.mode === "tracepoint" },
): Promise<Event> {
  const event = await tracer.take(truth.opened, truth);
  const unknown = allowed.unknownAcceptor && event.event === "accept" && event.pid === null;
  expectIdentity(event, unknown ? { ...truth, pid: null, comm: null } : truth);
  if (event.event === "connect") expectConnectTime(event, truth);
  expect(membersOf(event)).toEqual([
    ...openKeys,
    event.event === "connect" ? "connect_us" : "accept_us",
  ]);
  return event;
}

export async function expectClosed(tracer: Tracer, truth: Truth): Promise<Event> {
  const event = await tracer.take("close", truth);
  expectIdentity(event, truth);
  expect({ sent: event.bytes_sent, received: event.bytes_received }).toEqual({
    sent: truth.sent,
    received: truth.received,
  });
  expectMembers(event, truth.failure);
  expect(totalKeys.filter((key) => !(event[key]! >= 0))).toEqual([]);
  expect(event.segs_out! + event.segs_in!).toBeGreaterThanOrEqual(2);
  return event;
}

/**
 * The line that the trace must show of an older connection: the end's counts so far. `sure` is false where
 * neither the counters nor the ports tell who opened it: then the direction and the bytes sent may be unknown.
 */
export async function expectListed(
  tracer: Tracer,
  end: Peer | Truth,
  { sure = true, shared = false } = {},
): Promise<Event> {
  return expectOlder(tracer, "open", "truth" in end ? end.truth : end, sure, shared);
}

/** The close of such a connection. */
export async function expectListedClosed(
  tracer: Tracer,
  end: Peer | Truth,
  { sure = true, shared = false } = {},
): Promise<Event> {
  return expectOlder(tracer, "close", "truth" in end ? end.truth : end, sure, shared);
}

/** The one line of an attempt to connect that came to nothing. */
export async function expectFailed(tracer: Tracer, truth: Truth): Promise<Event> {
  const event = await tracer.take("fail", truth);
  expectIdentity(event, truth);
  expect(event.failure).toBe(truth.failure);
  expectConnectTime(event, truth);
  expect(membersOf(event)).toEqual([...openKeys, "connect_us", "failure"]);
  return event;
}

// --- internal ---

/** No other failure shows that a SYN was sent. */
const AFTER_SYN: readonly (string | undefined)[] = [
  ...["ECONNREFUSED", "ETIMEDOUT", "ECONNRESET", "ECANCELED"],
];

/** Within the system call, which also returns. */
function expectConnectTime({ event, connect_us }: Event, { failure, connectTookUs }: Truth): void {
  if (event === "fail" && !AFTER_SYN.includes(failure)) return expect(connect_us).toBeNull();
  expect(connect_us! >= 0).toBe(true);
  if (connectTookUs !== undefined) expect(connect_us!).toBeLessThanOrEqual(connectTookUs);
}

async function expectOlder(
  tracer: Tracer,
  kind: "open" | "close",
  truth: Truth,
  sure: boolean,
  shared: boolean,
): Promise<Event> {
  const event = await tracer.take(kind, truth);
  const known = sure || event.direction !== "unknown";
  expectIdentity(
    { ...event, direction: known ? event.direction : directionOf(truth) },
    shared && event.pid === null ? { ...truth, pid: null, comm: null } : truth,
  );
  expectMembers(event, kind === "close" ? truth.failure : undefined);
  expect(event).toMatchObject({
    bytes_sent: known ? truth.sent : null,
    bytes_received: truth.received,
    duration_us: null,
  });
  return event;
}

/** `failure` stands only where there was one. */
function expectMembers(event: Event, failure: string | undefined): void {
  expect(event.failure).toBe(failure);
  const more = failure === undefined ? [] : ["failure"];
  expect(membersOf(event)).toEqual([...openKeys, ...more, ...totalKeys]);
}

const directionOf = ({ opened }: Pick<Truth, "opened">) =>
  opened === "connect" ? "outgoing" : "incoming";

const totalKeys = [
  ...(["bytes_sent", "bytes_received", "segs_out", "segs_in"] as const),
  ...(["rtt_us", "rtt_var_us", "retransmits", "duration_us"] as const),
] as const;

function expectIdentity(
  event: Event,
  truth: Omit<Truth, "pid" | "comm"> & { pid: number | null; comm: string | null },
): void {
  expect(event).toMatchObject({
    v: 1,
    pid: truth.pid,
    comm: truth.comm,
    family: truth.family,
    direction: directionOf(truth),
    netns: truth.netns,
    local: truth.local,
    remote: truth.remote,
  });
  // Not toMatch, which costs fifty times as much.
  expect(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(event.time), event.time).toBe(true);
  expect(Math.abs(Date.parse(event.time) - Date.now())).toBeLessThan(120_000);
}
