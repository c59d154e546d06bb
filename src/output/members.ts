/** What an event is made of, for programs: the members of its JSON object, the columns of CSV and the schema. Pure. */

import { isoMicros } from "../conn/clock.ts";
import type { ConnEvent, EventKind, Protocol, Totals } from "../conn/event.ts";
import { isUnspecified } from "../record/address.ts";
import { errnoText } from "../record/errno.ts";
import type { Loss } from "./losses.ts";

/** Raised when a member changes its meaning or goes away; new members do not raise it. */
export const VERSION = 1;

export const eventKinds: readonly EventKind[] = ["connect", "accept", "close", "fail", "open"];
export const protocols: readonly Protocol[] = ["tcp", "udp"];

/** `undefined`: this event has no such member. */
export type Value = string | number | bigint | null | undefined;

/** What programs have to know of a member. */
export interface Described {
  name: string;
  description: string;
  type: "string" | "integer";
  /** All the values there are, where they are few. */
  values?: readonly (string | number)[];
  /** `null` is a value: not known. */
  nullable?: true;
}

/** Of an event. In its name, `local.port` is the member `port` of the object `local`; such neighbours share one object. */
export interface Member extends Described {
  /** The events that have it; left out: every one. */
  on?: { always: readonly EventKind[]; sometimes: readonly EventKind[] };
  /** Only events of this protocol have it. */
  protocol?: Protocol;
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
      "fail: an attempt that came to nothing; " +
      "open: there before the trace, or its first datagram, or goes on (trace --interval)",
    type: "string",
    values: eventKinds,
    of: ({ kind }) => kind,
  },
  {
    name: "protocol",
    description: "transport protocol",
    type: "string",
    values: protocols,
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
    name: "uid",
    description: "real user id of the process, in the initial user namespace",
    type: "integer",
    nullable: true,
    of: ({ uid }) => uid ?? null,
  },
  {
    name: "user",
    description: "name of that user; only with --resolve",
    type: "string",
    nullable: true,
    on: { always: [], sometimes: eventKinds },
    of: ({ user }) => user,
  },
  {
    name: "cgroup",
    description: "path of its control group, below where the hierarchy is mounted",
    type: "string",
    nullable: true,
    of: ({ cgroup }) => cgroup ?? null,
  },
  {
    name: "container",
    description: "id of the container that the control group is named after; null also: none",
    type: "string",
    nullable: true,
    of: ({ container }) => container ?? null,
  },
  {
    name: "args",
    description: "its command line, a blank between two arguments; only with --args",
    type: "string",
    nullable: true,
    on: { always: [], sometimes: eventKinds },
    of: ({ args }) => args,
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
  address("local", "this end; null: none was chosen yet"),
  port("local", "this end; null: none was chosen yet"),
  address("remote", "the other end; null: not known"),
  port("remote", "the other end; null: not known"),
  {
    name: "remote.name",
    description: "name of its address, or null: not known yet; only with --resolve",
    type: "string",
    nullable: true,
    on: { always: [], sometimes: eventKinds },
    of: ({ remote }) => remote.name,
  },
  {
    name: "failure",
    description: "name of the errno by which it failed or ended, for instance ECONNREFUSED",
    type: "string",
    nullable: true,
    on: { always: ["fail"], sometimes: ["close"] },
    of: ({ failure }) => (typeof failure === "number" ? errnoText(failure) : failure),
  },
  total("bytes_sent", "bytes the local application wrote", (of) => of.bytesSent),
  total("bytes_received", "bytes the local application read", (of) => of.bytesReceived),
  total("packets_sent", "datagrams sent", (of) => of.segsOut, "udp"),
  total("packets_received", "datagrams received", (of) => of.segsIn, "udp"),
  total("segs_out", "segments sent, those without data included", (of) => of.segsOut, "tcp"),
  total("segs_in", "segments received, those without data included", (of) => of.segsIn, "tcp"),
  total("rtt_us", "smoothed round-trip time at the end, microseconds", (of) => of.rttUs, "tcp"),
  total("rtt_var_us", "its mean deviation, microseconds", (of) => of.rttVarUs, "tcp"),
  total("retransmits", "segments sent again", (of) => of.retransmits, "tcp"),
  total(
    "duration_us",
    "from connect(2) or accept to the close, of UDP from the first datagram to the last; microseconds",
    ({ durationNs }) => (durationNs === null ? null : durationNs / 1000n),
  ),
];

/** The object for lost events, in the order in which they are written. It is no event: no kind has its `event`. */
export const lostMembers: readonly (Described & {
  of(loss: Loss, wallNs: bigint): string | number | bigint;
})[] = [
  {
    name: "v",
    description: "as in an event",
    type: "integer",
    values: [VERSION],
    of: () => VERSION,
  },
  {
    name: "time",
    description: "when the loss was noticed, UTC with microseconds (RFC 3339)",
    type: "string",
    of: (_, wallNs) => isoMicros(wallNs),
  },
  {
    name: "event",
    description: "lost: events are missing before this line",
    type: "string",
    values: ["lost"],
    of: () => "lost",
  },
  {
    name: "cause",
    description: "why they were lost, in English; one object per cause, at most one per second",
    type: "string",
    of: ({ cause }) => cause,
  },
  {
    name: "count",
    description: "how many, since the last object with this cause",
    type: "integer",
    of: ({ count }) => count,
  },
];

// --- internal ---

function address(end: "local" | "remote", whose: string): Member {
  return {
    name: `${end}.address`,
    description: `IP address of ${whose}`,
    type: "string",
    nullable: true,
    of: (event) => (isUnspecified(event[end].address) ? null : event[end].address),
  };
}

function port(end: "local" | "remote", whose: string): Member {
  return {
    name: `${end}.port`,
    description: `port of ${whose}`,
    type: "integer",
    nullable: true,
    of: (event) => (event[end].port === 0 ? null : event[end].port),
  };
}

/** A number from 0 to 2^64 - 1. Without `protocol`, of both. */
function total(
  name: string,
  description: string,
  value: (totals: Totals) => number | bigint | null,
  protocol?: Protocol,
): Member {
  return {
    name,
    description,
    type: "integer",
    nullable: true,
    on: { always: ["close"], sometimes: ["open"] },
    ...(protocol === undefined ? {} : { protocol }),
    of: ({ totals, protocol: of }) =>
      totals === undefined || (protocol ?? of) !== of ? undefined : value(totals),
  };
}
