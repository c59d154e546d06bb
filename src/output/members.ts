/** What an event is made of, for programs: the members of its JSON object, the columns of CSV and the schema. Pure. */

import { getSystemErrorName } from "node:util";
import { isoMicros } from "../conn/clock.ts";
import type { ConnEvent, EventKind, Totals } from "../conn/event.ts";

/** Raised when a member changes its meaning or goes away; new members do not raise it. */
export const VERSION = 1;

export const eventKinds: readonly EventKind[] = ["connect", "accept", "close", "fail", "open"];

/** `undefined`: this event has no such member. */
export type Value = string | number | bigint | null | undefined;

export interface Member {
  /** `local.port` is the member `port` of the object `local`; such neighbours share one object. */
  name: string;
  description: string;
  type: "string" | "integer";
  /** All the values there are, where they are few. */
  values?: readonly (string | number)[];
  /** `null` is a value: not known. */
  nullable?: true;
  /** The events that have it; left out: every one. */
  on?: { always: readonly EventKind[]; sometimes: readonly EventKind[] };
  of(event: ConnEvent, wallNs: bigint): Value;
}

/** In the order in which they are written. To add one, add a row, and one in docs/fields.md. */
export const members: readonly Member[] = [
  {
    name: "v",
    description: "version of this format: raised when a member changes its meaning or goes away",
    type: "integer",
    values: [VERSION],
    of: () => VERSION,
  },
  {
    name: "time",
    description: "when it happened, UTC with microseconds (RFC 3339)",
    type: "string",
    of: (_, wallNs) => isoMicros(wallNs),
  },
  {
    name: "event",
    description:
      "connect: established by a process here; accept: handed to a process here; close: over; " +
      "fail: an attempt that came to nothing; open: there before the trace, or its first datagram",
    type: "string",
    values: eventKinds,
    of: ({ kind }) => kind,
  },
  {
    name: "protocol",
    description: "transport protocol",
    type: "string",
    values: ["tcp", "udp"],
    of: ({ protocol }) => protocol,
  },
  {
    name: "pid",
    description: "process id in the initial pid namespace",
    type: "integer",
    nullable: true,
    of: ({ pid }) => pid,
  },
  {
    name: "comm",
    description: "command name of the process; a byte that is no UTF-8 is U+FFFD",
    type: "string",
    nullable: true,
    of: ({ comm }) => comm,
  },
  {
    name: "family",
    description: "version of IP; IPv4 over an IPv6 socket is 4",
    type: "integer",
    values: [4, 6],
    of: ({ family }) => family,
  },
  {
    name: "direction",
    description: "which end opened the connection: outgoing is this one",
    type: "string",
    values: ["outgoing", "incoming", "unknown"],
    of: ({ direction }) => direction,
  },
  {
    name: "netns",
    description: "inode number of the network namespace",
    type: "integer",
    nullable: true,
    of: ({ netns }) => netns,
  },
  {
    name: "local.address",
    description: "IP address of this end",
    type: "string",
    of: ({ local }) => local.address,
  },
  {
    name: "local.port",
    description: "port of this end",
    type: "integer",
    of: ({ local }) => local.port,
  },
  {
    name: "remote.address",
    description: "IP address of the other end",
    type: "string",
    of: ({ remote }) => remote.address,
  },
  {
    name: "remote.port",
    description: "port of the other end",
    type: "integer",
    of: ({ remote }) => remote.port,
  },
  {
    name: "failure",
    description: "name of the errno by which it failed or ended, for instance ECONNREFUSED",
    type: "string",
    nullable: true,
    on: { always: ["fail"], sometimes: ["close"] },
    of: ({ failure }) => (typeof failure === "number" ? errnoName(failure) : failure),
  },
  total("bytes_sent", "bytes the local application wrote", (of) => of.bytesSent),
  total("bytes_received", "bytes the local application read", (of) => of.bytesReceived),
  total("segs_out", "TCP segments sent, those without data included", (of) => of.segsOut),
  total("segs_in", "TCP segments received, those without data included", (of) => of.segsIn),
  total("rtt_us", "smoothed round-trip time at the end, microseconds", (of) => of.rttUs),
  total("rtt_var_us", "mean deviation of the round-trip time, microseconds", (of) => of.rttVarUs),
  total("retransmits", "segments sent again", (of) => of.retransmits),
  total("duration_us", "from connect(2) or accept to the close, microseconds", ({ durationNs }) =>
    durationNs === null ? null : durationNs / 1000n,
  ),
];

// --- internal ---

/** A number from 0 to 2^64 - 1. */
function total(
  name: string,
  description: string,
  value: (totals: Totals) => number | bigint | null,
): Member {
  return {
    name,
    description,
    type: "integer",
    nullable: true,
    on: { always: ["close"], sometimes: ["open"] },
    of: ({ totals }) => (totals === undefined ? undefined : value(totals)),
  };
}

function errnoName(errno: number): string {
  const name = getSystemErrorName(-errno);
  return /^E[A-Z0-9]+$/.test(name) ? name : `errno ${errno}`;
}
