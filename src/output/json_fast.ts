/**
 * The line of json.ts, byte by byte the same, made about ten times faster: what makes up nearly all lines of a busy host,
 * TCP's connect, accept and close. A test compares the two.
 */
import type { ConnEvent, Totals } from "../conn/event.ts";
import { jsonString } from "./escape.ts";
import { jsonLine } from "./json.ts";
import type { Lines } from "./lines.ts";
import { VERSION } from "./members.ts";

export function appendJson(lines: Lines, event: ConnEvent, wallNs: bigint): void {
  const { local, remote, totals } = event;
  if (isUsual(event)) {
    appendTime(lines, wallNs);
    lines.bytes(beginning(event));
    lines.integer(local.port);
    lines.bytes(remoteBeginning(remote.address));
    lines.integer(remote.port);
    if (totals === undefined) lines.bytes(key.end);
    else appendTotals(lines, totals);
  } else {
    lines.text(jsonLine(event, wallNs));
  }
  lines.end();
}

// --- internal ---

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const key = {
  sent: ascii(`},"bytes_sent":`),
  received: ascii(`,"bytes_received":`),
  segsOut: ascii(`,"segs_out":`),
  segsIn: ascii(`,"segs_in":`),
  rtt: ascii(`,"rtt_us":`),
  rttVar: ascii(`,"rtt_var_us":`),
  retransmits: ascii(`,"retransmits":`),
  duration: ascii(`,"duration_us":`),
  end: ascii("}}"),
  endOfTotals: ascii("}"),
};

function isUsual({ protocol, local, remote, failure, kind, totals }: ConnEvent): boolean {
  return (
    protocol === "tcp" &&
    failure === undefined &&
    local.port !== 0 &&
    remote.port !== 0 &&
    (totals === undefined ? kind === "connect" || kind === "accept" : kind === "close")
  );
}

function appendTotals(lines: Lines, of: Totals): void {
  lines.bytes(key.sent);
  lines.count64(of.bytesSent);
  lines.bytes(key.received);
  lines.count64(of.bytesReceived);
  lines.bytes(key.segsOut);
  lines.count64(of.segsOut);
  lines.bytes(key.segsIn);
  lines.count64(of.segsIn);
  lines.bytes(key.rtt);
  lines.count64(of.rttUs);
  lines.bytes(key.rttVar);
  lines.count64(of.rttVarUs);
  lines.bytes(key.retransmits);
  lines.count64(of.retransmits);
  lines.bytes(key.duration);
  lines.count64(of.durationNs === null ? null : microseconds(of.durationNs));
  lines.bytes(key.endOfTotals);
}

/** Divides as a number where that is exact; of a bigint it takes much longer. */
function microseconds(ns: bigint): number | bigint {
  const number = Number(ns);
  if (number > Number.MAX_SAFE_INTEGER) return ns / 1000n;
  const us = Math.floor(number / 1000);
  return us * 1000 > number ? us - 1 : us;
}

const NS_PER_SECOND = 1_000_000_000;
/** Thousands of events share a second: the text of the last one is kept. */
let held: { begins: bigint; text: Uint8Array } = { begins: 0n, text: new Uint8Array() };

function appendTime(lines: Lines, wallNs: bigint): void {
  let ns = Number(wallNs - held.begins);
  if (!(ns >= 0 && ns < NS_PER_SECOND && held.begins > 0n)) {
    const seconds = wallNs / BigInt(NS_PER_SECOND);
    const second = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
    held = {
      begins: seconds * BigInt(NS_PER_SECOND),
      text: ascii(`{"v":${VERSION},"time":"${second}.`),
    };
    ns = Number(wallNs - held.begins);
  }
  lines.bytes(held.text);
  lines.digits(Math.floor(ns / 1000), 6);
}

interface Beginning {
  of: ConnEvent;
  text: Uint8Array;
}

/** A few processes make most of the events. A power of two; what falls into the same slot takes its place. */
const SLOTS = 1024;
const beginnings: (Beginning | undefined)[] = Array.from({ length: SLOTS });

/** From behind the digits of the time to the local port. */
function beginning(event: ConnEvent): Uint8Array {
  // A connect, an accept and a close differ in length; so do the directions.
  const slot =
    ((event.pid ?? 0) * 4 + event.kind.length + event.direction.length * 64) & (SLOTS - 1);
  const known = beginnings[slot];
  if (known !== undefined && sameBeginning(known.of, event)) return known.text;
  const { pid, comm, family, netns } = event;
  const text = ascii(
    `Z","event":"${event.kind}","protocol":"${event.protocol}","pid":${pid}` +
      `,"comm":${comm === null ? "null" : jsonString(comm)},"family":${family}` +
      `,"direction":"${event.direction}","netns":${netns}` +
      `,"local":{"address":"${event.local.address}","port":`,
  );
  beginnings[slot] = { of: event, text };
  return text;
}

function sameBeginning(a: ConnEvent, b: ConnEvent): boolean {
  return (
    a.pid === b.pid &&
    a.kind === b.kind &&
    a.comm === b.comm &&
    a.local.address === b.local.address &&
    a.direction === b.direction &&
    a.netns === b.netns &&
    a.family === b.family &&
    a.protocol === b.protocol
  );
}

/** As many as are likely to be talked to at a time; beyond it they are made anew. */
const REMOTES_MAX = 4096;
const remotes = new Map<string, Uint8Array>();

function remoteBeginning(address: string): Uint8Array {
  const known = remotes.get(address);
  if (known !== undefined) return known;
  const text = ascii(`},"remote":{"address":"${address}","port":`);
  if (remotes.size >= REMOTES_MAX) remotes.clear();
  remotes.set(address, text);
  return text;
}
