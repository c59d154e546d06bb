/** Puts what differs into the holes of a template. */
import type { ClockPair } from "../../conn/clock.ts";
import type { ConnEvent } from "../../conn/event.ts";
import { putId, putIdAt } from "../../record/id.ts";
import {
  putInteger,
  putSegment,
  putSixDigits,
  segment,
  type Lines,
  type Segment,
} from "../lines.ts";
import type { Beside } from "./beside.ts";
import { moment } from "./moment.ts";
import type { NativeLines } from "./native.ts";
import {
  putBriefBytes,
  putBriefDuration,
  putDuration,
  putSeconds,
  putThreeDigits,
} from "./numbers.ts";
import { UNUSUAL, valueAt, valueOf } from "./slots.ts";
import { Form, type Op, type Template } from "./template.ts";

/** The source of a line: the struct event at `p` of `view`, or an event. */
export interface Source {
  view: DataView;
  p: number;
  event: ConnEvent | null;
}

/** Its moment is entered, its remote address given. `false`: a value cannot be written here, and nothing was written. */
export function write(lines: Lines, template: Template, remote: Segment, of: Source): boolean {
  const { ops, aligned } = template;
  const out = lines.reserve(template.bytes + remote.length);
  const from = putSegment(out, lines.used, template.head);
  const to = (aligned ? putCells : putInTurn)(out, from, ops, remote, of);
  if (to < 0) return false;
  lines.putLine(putSegment(out, to, template.tail));
  return true;
}

/** The same by the shim, of the record at `p` of `view`. */
export function writeNative(
  lines: Lines,
  template: Template,
  remote: Segment,
  native: NativeLines,
  view: DataView,
  p: number,
): boolean {
  const out = lines.reserve(template.bytes + remote.length);
  const to = native.put(out, lines.used, template, remote, view, p);
  if (to < 0) return false;
  lines.putLine(to);
  return true;
}

/** The others that are told of a record, and what they need. */
interface ToldBesides {
  beside: Beside;
  of: NonNullable<Template["beside"]>;
  remote: Segment;
  clocks: ClockPair;
}

/** The same, and the others are told; all or none. */
export function writeBesides(
  lines: Lines,
  template: Template,
  remote: Segment,
  native: NativeLines,
  view: DataView,
  p: number,
  told: ToldBesides,
): boolean {
  const { recording, watch } = told.beside;
  const { recorded, sample } = told.of;
  const into = recording === null ? null : recording.into(told.clocks);
  let end = 0;
  if (recording !== null) {
    if (into === null || recorded === null) return false;
    const bytes = recording.headBytes + recorded.bytes + told.remote.length + into.tail.length;
    const out = into.lines.reserve(bytes + NUMBER_BYTES);
    const at = into.lines.used;
    const to = native.put(out, at + recording.headBytes, recorded, told.remote, view, p);
    if (to < 0) return false;
    end = recording.seal(out, at, to, into);
  }
  if (!writeNative(lines, template, remote, native, view, p)) return false;
  into?.lines.putLine(end);
  watch?.saw(sample, 1);
  return true;
}

// --- internal ---

/** More than the digits of a number take. */
const NUMBER_BYTES = 32;

/** In place of where the next byte goes. */
const STOPPED = -1;

/**
 * One loop for all templates: unrolled it takes two thirds of the time, but to compile that for each of them takes the runtime
 * seconds of a processor, while a host's first thousands of connections are traced.
 */
function putInTurn(
  out: DataView,
  at: number,
  ops: readonly Op[],
  remote: Segment,
  of: Source,
): number {
  let to = at;
  for (const op of ops) {
    to = putTextOf(out, to, op);
    if (op.form === Form.id) to = putIdOf(out, to, of);
    else if (op.form === Form.integer) to = putHole(out, to, op, remote, of);
    else to = putOther(out, to, op, remote);
    if (to < 0) return STOPPED;
  }
  return to;
}

const putIdOf = (out: DataView, at: number, { view, p, event }: Source): number =>
  event === null ? putIdAt(out, at, view, p) : putId(out, at, event.id ?? "");

/** As align() in text.ts. */
function putCells(
  out: DataView,
  at: number,
  ops: readonly Op[],
  remote: Segment,
  of: Source,
): number {
  let to = at;
  let used = 0;
  for (let n = 0; n < ops.length; n++) {
    const op = ops[n]!;
    const least = used === 0 ? 0 : used + 1;
    if (op.right && op.form !== Form.none) {
      const size = putHole(scratch, 0, op, remote, of);
      if (size < 0) return STOPPED;
      const start = Math.max(least, op.end - size);
      to = putSpaces(out, to, start - used);
      for (let from = 0; from < size; from += 8)
        out.setFloat64(to + from, scratch.getFloat64(from, true), true);
      to += size;
      used = start + size;
      continue;
    }
    const start = Math.max(least, op.end - (op.right ? op.textWidth : op.width));
    const text = putTextOf(out, putSpaces(out, to, start - used), op);
    to = putHole(out, text, op, remote, of);
    if (to < 0) return STOPPED;
    used = start + op.textWidth + to - text;
  }
  return to;
}

const scratch = new DataView(new ArrayBuffer(128));
const SPACES = segment("        ").words[0]!;

/** May write beyond, where something follows. */
function putSpaces(out: DataView, at: number, count: number): number {
  for (let n = 0; n < count; n += 8) out.setFloat64(at + n, SPACES, true);
  return at + count;
}

function putTextOf(out: DataView, at: number, op: Op): number {
  if (op.isLong) return putSegment(out, at, op.text);
  out.setFloat64(at, op.first, true);
  out.setFloat64(at + 8, op.second, true);
  return at + op.text.length;
}

/** Puts a hole that holds no number. */
function putOther(out: DataView, at: number, op: Op, remote: Segment): number {
  switch (op.form) {
    case Form.isoMicros:
      return putSixDigits(out, putSegment(out, at, moment.iso), moment.us);
    case Form.timeOfDay:
      return putThreeDigits(out, putSegment(out, at, moment.day), Math.floor(moment.us / 1000));
    case Form.address:
      return putSegment(out, at, remote);
    default:
      return at;
  }
}

function putHole(out: DataView, at: number, op: Op, remote: Segment, of: Source): number {
  const { form } = op;
  if (form === Form.none) return at;
  if (form === Form.timeOfDay) return putOther(out, at, op, remote);
  const value = form === Form.since ? sinceNs(op) : valueIn(of, op);
  // Also of what is UNUSUAL.
  if (!(value >= 0)) return STOPPED;
  switch (form) {
    case Form.integer:
      return putInteger(out, at, value);
    case Form.briefBytes:
      return putBriefBytes(out, at, value);
    case Form.briefDuration:
      return putBriefDuration(out, at, value);
    case Form.duration:
      return putDuration(out, at, value);
    case Form.since:
      return putSeconds(out, at, Math.floor(value / 1000));
    default:
      return putInteger(out, putSegment(out, at, remote), value);
  }
}

const valueIn = ({ view, p, event }: Source, { slot }: Op): number =>
  event === null ? valueAt(slot, view, p) : valueOf(slot, event);

/** The halves are subtracted apart: as a number a time grows inexact. */
function sinceNs({ startLow, startHigh }: Op): number {
  const ns = moment.low - startLow + (moment.high - startHigh) * 2 ** 32;
  return ns > Number.MAX_SAFE_INTEGER ? UNUSUAL : ns;
}
