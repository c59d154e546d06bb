/**
 * The line of json.ts, byte by byte the same, made about ten times faster: what makes up nearly all lines of a busy host,
 * TCP's connect, accept and close, without names. A test compares the two.
 */
import { wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent, Totals } from "../conn/event.ts";
import { jsonString } from "./escape.ts";
import { jsonLine } from "./json.ts";
import { segment, type Lines, type Segment } from "./lines.ts";
import { VERSION } from "./members.ts";
import { microseconds } from "./numbers.ts";

export function appendJson(lines: Lines, event: ConnEvent, clocks: ClockPair): void {
  const { local, remote, totals } = event;
  if (isUsual(event)) {
    appendTime(lines, event.atNs, clocks);
    lines.segment(beginning(event));
    lines.integer(local.port);
    lines.segment(remoteBeginning(remote.address));
    lines.integer(remote.port);
    if (totals === undefined) lines.segment(key.end);
    else appendTotals(lines, totals);
  } else {
    lines.text(jsonLine(event, wallTime(event.atNs, clocks)));
  }
  lines.end();
}

// --- internal ---

const key = {
  sent: segment(`},"bytes_sent":`),
  received: segment(`,"bytes_received":`),
  segsOut: segment(`,"segs_out":`),
  segsIn: segment(`,"segs_in":`),
  rtt: segment(`,"rtt_us":`),
  rttVar: segment(`,"rtt_var_us":`),
  retransmits: segment(`,"retransmits":`),
  duration: segment(`,"duration_us":`),
  end: segment("}}"),
  endOfTotals: segment("}"),
};

function isUsual(event: ConnEvent): boolean {
  const { protocol, local, remote, failure, kind, totals } = event;
  return (
    protocol === "tcp" &&
    remote.name === undefined &&
    event.user === undefined &&
    failure === undefined &&
    local.port !== 0 &&
    remote.port !== 0 &&
    (totals === undefined ? kind === "connect" || kind === "accept" : kind === "close")
  );
}

function appendTotals(lines: Lines, of: Totals): void {
  lines.segment(key.sent);
  lines.count64(of.bytesSent);
  lines.segment(key.received);
  lines.count64(of.bytesReceived);
  lines.segment(key.segsOut);
  lines.count64(of.segsOut);
  lines.segment(key.segsIn);
  lines.count64(of.segsIn);
  lines.segment(key.rtt);
  lines.count64(of.rttUs);
  lines.segment(key.rttVar);
  lines.count64(of.rttVarUs);
  lines.segment(key.retransmits);
  lines.count64(of.retransmits);
  lines.segment(key.duration);
  lines.count64(of.durationNs === null ? null : durationUs(of.durationNs));
  lines.segment(key.endOfTotals);
}

/** Divides as a number where that is exact; of a bigint it takes much longer. */
function durationUs(ns: bigint): number | bigint {
  const number = Number(ns);
  return number > Number.MAX_SAFE_INTEGER ? ns / 1000n : microseconds(number);
}

const NS_PER_SECOND = 1_000_000_000;
/** Thousands of events share a second: the last one is kept, with the time on the events' clock at which it began. */
let held: { clocks: ClockPair | null; begins: number; text: Segment } = {
  clocks: null,
  begins: 0,
  text: segment(""),
};

function appendTime(lines: Lines, atNs: bigint, clocks: ClockPair): void {
  const at = Number(atNs);
  let ns = at - held.begins;
  // Beyond 104 days of uptime a double does not hold every nanosecond.
  if (held.clocks !== clocks || at > Number.MAX_SAFE_INTEGER || ns < 0 || ns >= NS_PER_SECOND) {
    const wallNs = wallTime(atNs, clocks);
    const seconds = wallNs / BigInt(NS_PER_SECOND);
    ns = Number(wallNs - seconds * BigInt(NS_PER_SECOND));
    const second = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
    held = {
      clocks,
      begins: at - ns,
      text: segment(`{"v":${VERSION},"time":"${second}.`),
    };
  }
  lines.segment(held.text);
  lines.sixDigits(Math.floor(ns / 1000));
}

interface Beginning {
  of: ConnEvent;
  text: Segment;
}

/** A few processes make most of the events. A power of two; what falls into the same slot takes its place. */
const SLOTS = 1024;
const beginnings: (Beginning | undefined)[] = Array.from({ length: SLOTS });

/** From behind the digits of the time to the local port. */
function beginning(event: ConnEvent): Segment {
  // A connect, an accept and a close differ in length; so do the directions.
  const slot =
    ((event.pid ?? 0) * 4 + event.kind.length + event.direction.length * 64) & (SLOTS - 1);
  const known = beginnings[slot];
  if (known !== undefined && sameBeginning(known.of, event)) return known.text;
  const { pid, family, netns } = event;
  const text = segment(
    `Z","event":"${event.kind}","protocol":"${event.protocol}","pid":${pid}` +
      `,"comm":${textOf(event.comm)},"uid":${event.uid ?? null}` +
      `,"cgroup":${textOf(event.cgroup)},"container":${textOf(event.container)}` +
      (event.args === undefined ? "" : `,"args":${textOf(event.args)}`) +
      `,"family":${family}` +
      `,"direction":"${event.direction}","netns":${netns}` +
      `,"local":{"address":"${event.local.address}","port":`,
  );
  beginnings[slot] = { of: event, text };
  return text;
}

const textOf = (text: string | null | undefined): string =>
  typeof text === "string" ? jsonString(text) : "null";

function sameBeginning(a: ConnEvent, b: ConnEvent): boolean {
  return (
    a.pid === b.pid &&
    a.kind === b.kind &&
    a.comm === b.comm &&
    a.uid === b.uid &&
    a.cgroup === b.cgroup &&
    a.container === b.container &&
    a.args === b.args &&
    a.local.address === b.local.address &&
    a.direction === b.direction &&
    a.netns === b.netns &&
    a.family === b.family &&
    a.protocol === b.protocol
  );
}

/** As many as are likely to be talked to at a time; beyond it they are made anew. */
const REMOTES_MAX = 4096;
const remotes = new Map<string, Segment>();

function remoteBeginning(address: string): Segment {
  const known = remotes.get(address);
  if (known !== undefined) return known;
  const text = segment(`},"remote":{"address":"${address}","port":`);
  if (remotes.size >= REMOTES_MAX) remotes.clear();
  remotes.set(address, text);
  return text;
}
