/**
 * The line of json.ts, byte by byte the same, straight from a record of the kernel: nearly all lines of a busy host, TCP's
 * connect, accept and close. No object is made for them. What is text in a line comes again and again and is taken from a
 * line that json.ts made; a test compares the two.
 */
import { wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import { addressText } from "../record/address.ts";
import { ConnMetadata, EventKind } from "../record/layout.gen.ts";
import { recurring } from "../record/recurring.ts";
import { jsonLine } from "./json.ts";
import {
  putInteger,
  putSegment,
  putShort,
  putSixDigits,
  segment,
  short,
  type Lines,
  type Segment,
} from "./lines.ts";
import { VERSION } from "./members.ts";
import { microseconds } from "./numbers.ts";

/**
 * What the record at `p` of `view` says; called where a line is not like one before. So it must follow from the record
 * alone: its control group from its id, and no command line, no names.
 */
export type Describe = (view: DataView, p: number) => ConnEvent;

/** Writes the record's line. `false`: it is of an unusual kind, and nothing was written. */
export function appendRecordJson(
  lines: Lines,
  view: DataView,
  p: number,
  clocks: ClockPair,
  describe: Describe,
): boolean {
  const localPort = view.getUint16(p + SPORT, true);
  const remotePort = view.getUint16(p + DPORT, true);
  if (localPort === 0 || remotePort === 0 || !hasRemote(view, p)) return false;
  const isClose = view.getUint32(p + KIND, true) === EventKind.EVENT_CLOSE;
  if (isClose && !isExact(view, p)) return false;
  const us = microsOfSecond(view, p, clocks);
  const beginning = beginningOf(view, p, clocks, describe);
  if (beginning === null) return false;
  const v6 = (view.getUint32(p + METADATA, true) & ConnMetadata.METADATA_IPV6) !== 0;
  const out = lines.reserve(beginning.length + REST_BYTES);
  let to = putSegment(out, lines.used, held.text);
  to = putSixDigits(out, to, us);
  to = putSegment(out, to, beginning);
  to = putInteger(out, to, localPort);
  to = putSegment(out, to, (v6 ? remoteV6 : remoteV4)(view, p + DADDR));
  to = putInteger(out, to, remotePort);
  lines.putLine(isClose ? putTotals(out, to, view, p) : putShort(out, to, END));
  return true;
}

/** For the test of the layout. */
export const places = () => ({
  saddr: SADDR,
  daddr: DADDR,
  sport: SPORT,
  dport: DPORT,
  netns: NETNS,
  pid: PID,
  metadata: METADATA,
  rtt: RTT,
  rttVar: RTT_VAR,
  retransmits: RETRANSMITS,
  sentBytes: SENT_BYTES,
  recvBytes: RECV_BYTES,
  sentPackets: SENT_PACKETS,
  recvPackets: RECV_PACKETS,
  timestamp: TIMESTAMP,
  duration: DURATION,
  connFlags: CONN_FLAGS,
  direction: DIRECTION,
  comm: COMM,
  kind: KIND,
  flags: FLAGS,
  uid: UID,
  cgroupId: CGROUP_ID,
});

// --- internal ---

/**
 * Where the members lie in a struct event; test/unit/json-record.test.ts compares with the layout. Constants of their own,
 * because a member of an object is looked up each time.
 */
const SADDR = 8;
const DADDR = 24;
const SPORT = 40;
const DPORT = 42;
const NETNS = 44;
const PID = 48;
const METADATA = 52;
const RTT = 56;
const RTT_VAR = 60;
const RETRANSMITS = 64;
const SENT_BYTES = 72;
const RECV_BYTES = 80;
const SENT_PACKETS = 88;
const RECV_PACKETS = 92;
const TIMESTAMP = 96;
const DURATION = 104;
/** conn_stats.flags, the direction and padding share a word. */
const CONN_FLAGS = 120;
const DIRECTION = 121;
const COMM = 128;
const KIND = 144;
const FLAGS = 148;
const UID = 152;
const CGROUP_ID = 160;

/** All but the beginning: the time, the remote end, eight names and numbers. */
const REST_BYTES = 512;
const END = short("}}");

/** What stands before each number of a close, in the order of members.ts. */
const totals = [
  `},"bytes_sent":`,
  `,"bytes_received":`,
  `,"segs_out":`,
  `,"segs_in":`,
  `,"rtt_us":`,
  `,"rtt_var_us":`,
  `,"retransmits":`,
  `,"duration_us":`,
] as const;
const SENT = segment(totals[0]);
const RECEIVED = segment(totals[1]);
const SEGS_OUT = short(totals[2]);
const SEGS_IN = short(totals[3]);
const RTT_US = short(totals[4]);
const RTT_VAR_US = short(totals[5]);
const RETRANS = short(totals[6]);
const DURATION_US = short(totals[7]);
const END_OF_TOTALS = short("}");

const number64 = (view: DataView, p: number): number =>
  view.getUint32(p, true) + view.getUint32(p + 4, true) * 2 ** 32;

/** A double holds these exactly. */
const isExact = (view: DataView, p: number): boolean =>
  view.getUint32(p + SENT_BYTES + 4, true) < 1 << 21 &&
  view.getUint32(p + RECV_BYTES + 4, true) < 1 << 21 &&
  view.getUint32(p + DURATION + 4, true) < 1 << 21;

const hasRemote = (view: DataView, p: number): boolean =>
  view.getUint32(p + DADDR, true) !== 0 ||
  view.getUint32(p + DADDR + 4, true) !== 0 ||
  view.getUint32(p + DADDR + 8, true) !== 0 ||
  view.getUint32(p + DADDR + 12, true) !== 0;

function putTotals(out: DataView, at: number, view: DataView, p: number): number {
  let to = putSegment(out, at, SENT);
  to = putInteger(out, to, number64(view, p + SENT_BYTES));
  to = putSegment(out, to, RECEIVED);
  to = putInteger(out, to, number64(view, p + RECV_BYTES));
  to = putShort(out, to, SEGS_OUT);
  to = putInteger(out, to, view.getUint32(p + SENT_PACKETS, true));
  to = putShort(out, to, SEGS_IN);
  to = putInteger(out, to, view.getUint32(p + RECV_PACKETS, true));
  to = putShort(out, to, RTT_US);
  to = putInteger(out, to, view.getUint32(p + RTT, true));
  to = putShort(out, to, RTT_VAR_US);
  to = putInteger(out, to, view.getUint32(p + RTT_VAR, true));
  to = putShort(out, to, RETRANS);
  to = putInteger(out, to, view.getUint32(p + RETRANSMITS, true));
  to = putShort(out, to, DURATION_US);
  to = putInteger(out, to, microseconds(number64(view, p + DURATION)));
  return putShort(out, to, END_OF_TOTALS);
}

const NS_PER_SECOND = 1_000_000_000;
/** Thousands of events share a second: the last one is kept, with the time on the events' clock at which it began. */
const held = { clocks: null as ClockPair | null, low: 0, high: 0, text: segment("") };

/** Sets `held` to the record's second. The two halves of the clock are subtracted apart: as a number it grows inexact. */
function microsOfSecond(view: DataView, p: number, clocks: ClockPair): number {
  const low = view.getUint32(p + TIMESTAMP, true);
  const high = view.getUint32(p + TIMESTAMP + 4, true);
  let ns = (high - held.high) * 2 ** 32 + (low - held.low);
  if (held.clocks !== clocks || ns < 0 || ns >= NS_PER_SECOND) {
    const atNs = view.getBigUint64(p + TIMESTAMP, true);
    const wallNs = wallTime(atNs, clocks);
    const inSecond = wallNs % BigInt(NS_PER_SECOND);
    const begins = BigInt.asUintN(64, atNs - inSecond);
    ns = Number(inSecond);
    held.clocks = clocks;
    held.low = Number(begins & 0xffff_ffffn);
    held.high = Number(begins >> 32n);
    held.text = segment(timePiece(wallNs));
    // What is known of a process can become more.
    beginnings.fill(undefined);
  }
  return Math.floor(ns / 1000);
}

/** Up to the point of the seconds. */
function timePiece(wallNs: bigint): string {
  const seconds = wallNs / BigInt(NS_PER_SECOND);
  return `${FIRST}${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.`;
}

/** A line begins so. */
const FIRST = `{"v":${VERSION},"time":"`;

/** The text of lines up to the local port, and the words of a record that it depends on. */
interface Beginning {
  pid: number;
  kind: number;
  flags: number;
  netns: number;
  metadata: number;
  connFlags: number;
  saddr0: number;
  saddr1: number;
  saddr2: number;
  saddr3: number;
  comm0: number;
  comm1: number;
  comm2: number;
  comm3: number;
  uid: number;
  cgroup0: number;
  cgroup1: number;
  /** `null`: such a line has something that only json.ts can write. */
  text: Segment | null;
}

/** A few processes make most of the events. A power of two; what falls into the same slot takes its place. */
const SLOTS = 1024;
const beginnings: (Beginning | undefined)[] = Array.from({ length: SLOTS });

/** From behind the digits of the time to the local port. */
function beginningOf(
  view: DataView,
  p: number,
  clocks: ClockPair,
  describe: Describe,
): Segment | null {
  const mixed = view.getInt32(p + PID, true) * 4 + view.getInt32(p + KIND, true);
  const slot = (mixed + view.getUint8(p + DIRECTION) * 64) & (SLOTS - 1);
  const known = beginnings[slot];
  if (known !== undefined && isOf(known, view, p)) return known.text;
  const text = cutBeginning(describe(view, p), clocks);
  beginnings[slot] = {
    pid: view.getInt32(p + PID, true),
    kind: view.getInt32(p + KIND, true),
    flags: view.getInt32(p + FLAGS, true),
    netns: view.getInt32(p + NETNS, true),
    metadata: view.getInt32(p + METADATA, true),
    connFlags: view.getInt32(p + CONN_FLAGS, true),
    saddr0: view.getInt32(p + SADDR, true),
    saddr1: view.getInt32(p + SADDR + 4, true),
    saddr2: view.getInt32(p + SADDR + 8, true),
    saddr3: view.getInt32(p + SADDR + 12, true),
    comm0: view.getInt32(p + COMM, true),
    comm1: view.getInt32(p + COMM + 4, true),
    comm2: view.getInt32(p + COMM + 8, true),
    comm3: view.getInt32(p + COMM + 12, true),
    uid: view.getInt32(p + UID, true),
    cgroup0: view.getInt32(p + CGROUP_ID, true),
    cgroup1: view.getInt32(p + CGROUP_ID + 4, true),
    text,
  };
  return text;
}

function isOf(of: Beginning, view: DataView, p: number): boolean {
  return (
    of.pid === view.getInt32(p + PID, true) &&
    of.kind === view.getInt32(p + KIND, true) &&
    of.flags === view.getInt32(p + FLAGS, true) &&
    of.netns === view.getInt32(p + NETNS, true) &&
    of.metadata === view.getInt32(p + METADATA, true) &&
    of.connFlags === view.getInt32(p + CONN_FLAGS, true) &&
    of.saddr0 === view.getInt32(p + SADDR, true) &&
    of.saddr1 === view.getInt32(p + SADDR + 4, true) &&
    of.saddr2 === view.getInt32(p + SADDR + 8, true) &&
    of.saddr3 === view.getInt32(p + SADDR + 12, true) &&
    of.comm0 === view.getInt32(p + COMM, true) &&
    of.comm1 === view.getInt32(p + COMM + 4, true) &&
    of.comm2 === view.getInt32(p + COMM + 8, true) &&
    of.comm3 === view.getInt32(p + COMM + 12, true) &&
    of.uid === view.getInt32(p + UID, true) &&
    of.cgroup0 === view.getInt32(p + CGROUP_ID, true) &&
    of.cgroup1 === view.getInt32(p + CGROUP_ID + 4, true)
  );
}

/**
 * The piece of json.ts's line, if the rest of that line is what is written here. A quote inside of a string is escaped, so
 * what is looked for is found where the member is.
 */
function cutBeginning(event: ConnEvent, clocks: ClockPair): Segment | null {
  const wallNs = wallTime(event.atNs, clocks);
  const line = jsonLine(event, wallNs);
  const time = timePiece(wallNs);
  const local = `"port":${event.local.port}${remotePiece(event.remote.address)}`;
  const from = time.length + 6;
  const to = line.indexOf(local);
  if (!line.startsWith(time) || to < from) return null;
  const text = line.slice(from, to + `"port":`.length);
  // The pieces of a line are written as Latin-1.
  if (!/^[\x20-\x7e]*$/.test(text)) return null;
  return line.slice(to + local.length) === restOf(event) ? segment(text) : null;
}

/** From the remote port on; what cannot be written here equals no line. */
function restOf({ remote, totals: of }: ConnEvent): string {
  if (of === undefined) return `${remote.port}}}`;
  const { bytesSent, bytesReceived, segsOut, segsIn, rttUs, rttVarUs, retransmits } = of;
  const values = [bytesSent, bytesReceived, segsOut, segsIn, rttUs, rttVarUs, retransmits];
  if (of.durationNs === null || values.includes(null)) return "";
  const pieces = [...values, of.durationNs / 1000n].map((value, n) => `${totals[n]}${value}`);
  return `${remote.port}${pieces.join("")}}`;
}

const remotePiece = (address: string): string => `},"remote":{"address":"${address}","port":`;
const remoteV6 = recurring((bytes) => segment(remotePiece(addressText(bytes, 6).address)));
const remoteV4 = recurring((bytes) =>
  segment(remotePiece(addressText(bytes.subarray(8), 4).address)),
);
