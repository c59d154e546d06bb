/**
 * The numbers that differ from line to line of one process: where each lies in a record, and in an event. They are
 * written apart from the text that is kept. Pure.
 */
import type { ConnEvent, Totals } from "../../conn/event.ts";
import type { Leaf } from "../../members/held.ts";
import {
  EVENT_ENDED_AT,
  EVENT_ENDS_DPORT,
  EVENT_ENDS_SPORT,
  EVENT_RECV_BYTES,
  EVENT_RECV_PACKETS,
  EVENT_RETRANSMITS,
  EVENT_RTT,
  EVENT_RTT_VAR,
  EVENT_SENT_BYTES,
  EVENT_SENT_PACKETS,
  EVENT_STARTED_AT,
  EVENT_TIMESTAMP,
  eventPlaces,
} from "../../record/layout.gen.ts";
import { microseconds } from "../numbers.ts";

export interface Slot {
  /** In a struct event. */
  at: number;
  bytes: 2 | 4 | 8;
  /** Where the value lies that is subtracted from it, a time in ns, which becomes microseconds; -1: none. */
  since: number;
  /** A smaller value is written another way: port 0 is none. */
  least: number;
  /** Where it stands in an event. */
  leaf: Leaf;
  of(event: ConnEvent): number | bigint | null;
}

/** To add a number that differs from line to line, add a row. */
export const slots = {
  at: time(EVENT_TIMESTAMP),
  localPort: port("local", EVENT_ENDS_SPORT),
  remotePort: port("remote", EVENT_ENDS_DPORT),
  bytesSent: total(EVENT_SENT_BYTES, 8, "bytesSent"),
  bytesReceived: total(EVENT_RECV_BYTES, 8, "bytesReceived"),
  segsOut: total(EVENT_SENT_PACKETS, 8, "segsOut"),
  segsIn: total(EVENT_RECV_PACKETS, 8, "segsIn"),
  rttUs: total(EVENT_RTT, 4, "rttUs"),
  rttVarUs: total(EVENT_RTT_VAR, 4, "rttVarUs"),
  retransmits: total(EVENT_RETRANSMITS, 4, "retransmits"),
  connectUs: until("connectNs", EVENT_STARTED_AT),
  acceptUs: until("acceptNs", EVENT_ENDED_AT),
  durationUs: total(EVENT_ENDED_AT, 8, "durationNs", EVENT_STARTED_AT),
};

/** Values of an event that no kept text may hold: those of `slots`, the time, the id and the remote address. */
export const varying: ReadonlySet<Leaf> = new Set<Leaf>([
  ...Object.values(slots).map(({ leaf }) => leaf),
  "atNs",
  "id",
  "remote.address",
]);

type Place = keyof typeof eventPlaces;

const all: readonly Slot[] = Object.values(slots);
const inSlots = new Set(all.flatMap(({ at, since }) => [at, since]));
/** Of a time that is subtracted from another one. */
export const isSince = (at: number): boolean => all.some(({ since }) => since === at);
/** The time, the id (of the cookie) and the remote address are written apart; no line shows the rest. */
const besides: ReadonlySet<Place> = new Set<Place>([
  "timestamp",
  "ends_daddr_h",
  "ends_daddr_l",
  "sk",
  "cookie",
  "state_transitions",
  // Only command lines, and control groups that /proc is asked for, depend on these: such records become events first.
  "owner_owned_at",
  "owner_program",
  // No line shows the listener.
  "owner_listener_ino",
]);

/**
 * Members of a struct event that no kept text may depend on. Every other member decides which text it is, so a new one does
 * as well.
 */
export const apart: readonly Place[] = (Object.keys(eventPlaces) as Place[]).filter(
  (name) => besides.has(name) || inSlots.has(eventPlaces[name][0]),
);

/** Not a number, which no comparison holds for: the value cannot be written here. */
export const UNUSUAL = NaN;

/** Of the struct event at `p`. */
export function valueAt({ at, bytes, since, least }: Slot, view: DataView, p: number): number {
  let value: number;
  if (bytes === 4) value = view.getUint32(p + at, true);
  else if (bytes === 2) value = view.getUint16(p + at, true);
  else if (since < 0)
    value = view.getUint32(p + at, true) + view.getUint32(p + at + 4, true) * 2 ** 32;
  else value = difference(view, p + at, p + since);
  if (value < least || value > Number.MAX_SAFE_INTEGER) return UNUSUAL;
  return since < 0 ? value : microseconds(value);
}

export function valueOf({ since, least, of }: Slot, event: ConnEvent): number {
  const value = Number(of(event));
  if (value < least || value > Number.MAX_SAFE_INTEGER) return UNUSUAL;
  return since < 0 ? value : microseconds(value);
}

// --- internal ---

function port(end: "local" | "remote", at: number): Slot {
  return { at, bytes: 2, since: -1, least: 1, leaf: `${end}.port`, of: (event) => event[end].port };
}

function time(at: number): Slot {
  return { at, bytes: 8, since: -1, least: 0, leaf: "atNs", of: ({ atNs }) => atNs };
}

/** From a moment of the record until its own. No time at all is none that is known. */
function until(leaf: "connectNs" | "acceptNs", since: number): Slot {
  return {
    at: EVENT_TIMESTAMP,
    bytes: 8,
    since,
    least: 1,
    leaf,
    of: (event) => event[leaf] ?? null,
  };
}

function total(at: number, bytes: Slot["bytes"], name: keyof Totals, since = -1): Slot {
  const of = ({ totals }: ConnEvent) => totals?.[name] ?? null;
  return { at, bytes, since, least: 0, leaf: `totals.${name}`, of };
}

/** The halves are subtracted apart: as a number a time grows inexact. */
const difference = (view: DataView, at: number, since: number): number =>
  view.getUint32(at, true) -
  view.getUint32(since, true) +
  (view.getUint32(at + 4, true) - view.getUint32(since + 4, true)) * 2 ** 32;
