/**
 * The line of json.ts, byte by byte the same, straight from a record of the kernel: nearly all lines of a busy host, TCP's
 * connect, accept and close. No object is made for them. What is text in a line comes again and again and is taken from a
 * line that json.ts made; a test compares the two.
 */
import type { ClockPair } from "../conn/clock.ts";
import { addressText } from "../record/address.ts";
import {
  ConnMetadata,
  EVENT_ENDED_AT,
  EVENT_ENDS_DADDR_H,
  EVENT_ENDS_DPORT,
  EVENT_ENDS_METADATA,
  EVENT_ENDS_SPORT,
  EVENT_KIND,
  EVENT_RECV_BYTES,
  EVENT_RECV_PACKETS,
  EVENT_RETRANSMITS,
  EVENT_RTT,
  EVENT_RTT_VAR,
  EVENT_SENT_BYTES,
  EVENT_SENT_PACKETS,
  EVENT_STARTED_AT,
  EventKind,
} from "../record/layout.gen.ts";
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

/** Writes the record's line. `false`: it is of an unusual kind, and nothing was written. */
export function appendRecordJson(
  lines: Lines,
  view: DataView,
  p: number,
  clocks: ClockPair,
  describe: Describe,
): boolean {
  const localPort = view.getUint16(p + EVENT_ENDS_SPORT, true);
  const remotePort = view.getUint16(p + EVENT_ENDS_DPORT, true);
  if (localPort === 0 || remotePort === 0 || !hasRemote(view, p)) return false;
  const isClose = view.getUint8(p + EVENT_KIND) === EventKind.EVENT_CLOSE;
  if (isClose && !isExact(view, p)) return false;
  const us = microsOfSecond(view, p, clocks);
  const beginning = beginningOf(view, p, clocks, describe);
  if (beginning === null) return false;
  const v6 = (view.getUint32(p + EVENT_ENDS_METADATA, true) & ConnMetadata.METADATA_IPV6) !== 0;
  const out = lines.reserve(beginning.length + REST_BYTES);
  let to = putSegment(out, lines.used, held.text);
  to = putSixDigits(out, to, us);
  to = putSegment(out, to, beginning);
  to = putInteger(out, to, localPort);
  to = putSegment(out, to, (v6 ? remoteV6 : remoteV4)(view, p + EVENT_ENDS_DADDR_H));
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
  view.getUint32(p + EVENT_SENT_BYTES + 4, true) < 1 << 21 &&
  view.getUint32(p + EVENT_RECV_BYTES + 4, true) < 1 << 21 &&
  view.getUint32(p + EVENT_SENT_PACKETS + 4, true) < 1 << 21 &&
  view.getUint32(p + EVENT_RECV_PACKETS + 4, true) < 1 << 21 &&
  isNumber(lastedAt(view, p));

const isNumber = (value: number): boolean => value >= 0 && value <= Number.MAX_SAFE_INTEGER;

/** The two halves of the clock are subtracted apart: as a number it grows inexact. */
const lastedAt = (view: DataView, p: number): number =>
  (view.getUint32(p + EVENT_ENDED_AT + 4, true) - view.getUint32(p + EVENT_STARTED_AT + 4, true)) *
    2 ** 32 +
  (view.getUint32(p + EVENT_ENDED_AT, true) - view.getUint32(p + EVENT_STARTED_AT, true));

const hasRemote = (view: DataView, p: number): boolean =>
  view.getUint32(p + EVENT_ENDS_DADDR_H, true) !== 0 ||
  view.getUint32(p + EVENT_ENDS_DADDR_H + 4, true) !== 0 ||
  view.getUint32(p + EVENT_ENDS_DADDR_H + 8, true) !== 0 ||
  view.getUint32(p + EVENT_ENDS_DADDR_H + 12, true) !== 0;

function putTotals(out: DataView, at: number, view: DataView, p: number): number {
  let to = putSegment(out, at, SENT);
  to = putInteger(out, to, number64(view, p + EVENT_SENT_BYTES));
  to = putSegment(out, to, RECEIVED);
  to = putInteger(out, to, number64(view, p + EVENT_RECV_BYTES));
  to = putShort(out, to, SEGS_OUT);
  to = putInteger(out, to, number64(view, p + EVENT_SENT_PACKETS));
  to = putShort(out, to, SEGS_IN);
  to = putInteger(out, to, number64(view, p + EVENT_RECV_PACKETS));
  to = putShort(out, to, RTT_US);
  to = putInteger(out, to, view.getUint32(p + EVENT_RTT, true));
  to = putShort(out, to, RTT_VAR_US);
  to = putInteger(out, to, view.getUint32(p + EVENT_RTT_VAR, true));
  to = putShort(out, to, RETRANS);
  to = putInteger(out, to, view.getUint32(p + EVENT_RETRANSMITS, true));
  to = putShort(out, to, DURATION_US);
  to = putInteger(out, to, microseconds(lastedAt(view, p)));
  return putShort(out, to, END_OF_TOTALS);
}

const remoteV6 = recurring((bytes) => segment(remotePiece(addressText(bytes, 6).address)));
const remoteV4 = recurring((bytes) =>
  segment(remotePiece(addressText(bytes.subarray(8), 4).address)),
);
