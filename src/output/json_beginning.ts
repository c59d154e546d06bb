/**
 * What lines of JSON have in common, for json_record.ts: the second in which events happened, and the text from there to the
 * local port. It is cut out of a line that json.ts made, and kept with all that it depends on. Pure, but for remembering.
 */
import { wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import { jsonLine } from "./json.ts";
import { segment, type Segment } from "./lines.ts";
import { VERSION } from "./members.ts";
import {
  EVENT_DIRECTION,
  EVENT_ENDS_METADATA,
  EVENT_ENDS_SADDR_H,
  EVENT_FLAGS,
  EVENT_KIND,
  EVENT_NETNS,
  EVENT_OWNER_CGROUP_ID,
  EVENT_OWNER_COMM,
  EVENT_OWNER_PID,
  EVENT_OWNER_UID,
  EVENT_TIMESTAMP,
} from "../record/layout.gen.ts";

/**
 * What the record at `p` of `view` says; called where a line is not like one before. So it must follow from the record
 * alone: its control group from its id, and no command line, no names.
 */
export type Describe = (view: DataView, p: number) => ConnEvent;

const NS_PER_SECOND = 1_000_000_000;
/**
 * Thousands of events share a second: the last one is kept, with the time on the events' clock at which it began. `text`:
 * a line up to the point of its seconds.
 */
export const held = { clocks: null as ClockPair | null, low: 0, high: 0, text: segment("") };

/** Sets `held` to the record's second. The two halves of the clock are subtracted apart: as a number it grows inexact. */
export function microsOfSecond(view: DataView, p: number, clocks: ClockPair): number {
  const low = view.getUint32(p + EVENT_TIMESTAMP, true);
  const high = view.getUint32(p + EVENT_TIMESTAMP + 4, true);
  let ns = (high - held.high) * 2 ** 32 + (low - held.low);
  if (held.clocks !== clocks || ns < 0 || ns >= NS_PER_SECOND) {
    const atNs = view.getBigUint64(p + EVENT_TIMESTAMP, true);
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

/** From behind the digits of the time to the local port. */
export function beginningOf(
  view: DataView,
  p: number,
  clocks: ClockPair,
  describe: Describe,
): Segment | null {
  const mixed = view.getInt32(p + EVENT_OWNER_PID, true) * 4 + view.getUint8(p + EVENT_KIND);
  const slot = (mixed + view.getUint8(p + EVENT_DIRECTION) * 64) & (SLOTS - 1);
  const known = beginnings[slot];
  if (known !== undefined && isOf(known, view, p)) return known.text;
  const text = cutBeginning(describe(view, p), clocks);
  beginnings[slot] = {
    pid: view.getInt32(p + EVENT_OWNER_PID, true),
    kind: view.getInt32(p + EVENT_KIND, true),
    flags: view.getInt32(p + EVENT_FLAGS, true),
    netns: view.getInt32(p + EVENT_NETNS, true),
    metadata: view.getInt32(p + EVENT_ENDS_METADATA, true),
    saddr0: view.getInt32(p + EVENT_ENDS_SADDR_H, true),
    saddr1: view.getInt32(p + EVENT_ENDS_SADDR_H + 4, true),
    saddr2: view.getInt32(p + EVENT_ENDS_SADDR_H + 8, true),
    saddr3: view.getInt32(p + EVENT_ENDS_SADDR_H + 12, true),
    comm0: view.getInt32(p + EVENT_OWNER_COMM, true),
    comm1: view.getInt32(p + EVENT_OWNER_COMM + 4, true),
    comm2: view.getInt32(p + EVENT_OWNER_COMM + 8, true),
    comm3: view.getInt32(p + EVENT_OWNER_COMM + 12, true),
    uid: view.getInt32(p + EVENT_OWNER_UID, true),
    cgroup0: view.getInt32(p + EVENT_OWNER_CGROUP_ID, true),
    cgroup1: view.getInt32(p + EVENT_OWNER_CGROUP_ID + 4, true),
    text,
  };
  return text;
}

/** From the local port to the remote one. */
export const remotePiece = (address: string): string =>
  `},"remote":{"address":"${address}","port":`;

/** What stands before each number of a close, in the order of members.ts. */
export const totalNames = [
  `},"bytes_sent":`,
  `,"bytes_received":`,
  `,"segs_out":`,
  `,"segs_in":`,
  `,"rtt_us":`,
  `,"rtt_var_us":`,
  `,"retransmits":`,
  `,"duration_us":`,
] as const;

// --- internal ---

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
  /** With the direction, the legs and padding. */
  kind: number;
  flags: number;
  netns: number;
  metadata: number;
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

function isOf(of: Beginning, view: DataView, p: number): boolean {
  return (
    of.pid === view.getInt32(p + EVENT_OWNER_PID, true) &&
    of.kind === view.getInt32(p + EVENT_KIND, true) &&
    of.flags === view.getInt32(p + EVENT_FLAGS, true) &&
    of.netns === view.getInt32(p + EVENT_NETNS, true) &&
    of.metadata === view.getInt32(p + EVENT_ENDS_METADATA, true) &&
    of.saddr0 === view.getInt32(p + EVENT_ENDS_SADDR_H, true) &&
    of.saddr1 === view.getInt32(p + EVENT_ENDS_SADDR_H + 4, true) &&
    of.saddr2 === view.getInt32(p + EVENT_ENDS_SADDR_H + 8, true) &&
    of.saddr3 === view.getInt32(p + EVENT_ENDS_SADDR_H + 12, true) &&
    of.comm0 === view.getInt32(p + EVENT_OWNER_COMM, true) &&
    of.comm1 === view.getInt32(p + EVENT_OWNER_COMM + 4, true) &&
    of.comm2 === view.getInt32(p + EVENT_OWNER_COMM + 8, true) &&
    of.comm3 === view.getInt32(p + EVENT_OWNER_COMM + 12, true) &&
    of.uid === view.getInt32(p + EVENT_OWNER_UID, true) &&
    of.cgroup0 === view.getInt32(p + EVENT_OWNER_CGROUP_ID, true) &&
    of.cgroup1 === view.getInt32(p + EVENT_OWNER_CGROUP_ID + 4, true)
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
  const pieces = [...values, of.durationNs / 1000n].map((value, n) => `${totalNames[n]}${value}`);
  return `${remote.port}${pieces.join("")}}`;
}
