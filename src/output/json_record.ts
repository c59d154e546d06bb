/**
 * The line of json.ts, byte by byte the same, straight from a record of the kernel: nearly all lines of a busy host, TCP's
 * connect, accept and close. No object is made for them. What is text in a line comes again and again and is taken from a
 * line that json.ts made; a test compares the two.
 */
import type { ClockPair } from "../conn/clock.ts";
import { addressText } from "../record/address.ts";
import { ConnMetadata, EventKind } from "../record/layout.gen.ts";
import { recurring } from "../record/recurring.ts";
import {
  beginningOf,
  held,
  microsOfSecond,
  remotePiece,
  totalNames,
  type Describe,
} from "./json_beginning.ts";
import {
  putInteger,
  putSegment,
  putShort,
  putSixDigits,
  segment,
  short,
  type Lines,
} from "./lines.ts";
import { microseconds } from "./numbers.ts";
import {
  DADDR,
  SPORT,
  DPORT,
  METADATA,
  RTT,
  RTT_VAR,
  RETRANSMITS,
  SENT_BYTES,
  RECV_BYTES,
  SENT_PACKETS,
  RECV_PACKETS,
  DURATION,
  KIND,
} from "../record/places.ts";

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

// --- internal ---

/** All but the beginning: the time, the remote end, eight names and numbers. */
const REST_BYTES = 512;
const END = short("}}");

const SENT = segment(totalNames[0]);
const RECEIVED = segment(totalNames[1]);
const SEGS_OUT = short(totalNames[2]);
const SEGS_IN = short(totalNames[3]);
const RTT_US = short(totalNames[4]);
const RTT_VAR_US = short(totalNames[5]);
const RETRANS = short(totalNames[6]);
const DURATION_US = short(totalNames[7]);
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

const remoteV6 = recurring((bytes) => segment(remotePiece(addressText(bytes, 6).address)));
const remoteV4 = recurring((bytes) =>
  segment(remotePiece(addressText(bytes.subarray(8), 4).address)),
);
