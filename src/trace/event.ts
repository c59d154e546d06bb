/** A record of the ring to an event. Pure. */
import type { Direction, EventKind, Totals } from "../conn/event.ts";
import type { TracedEvent } from "../conn/identity.ts";
import { attributeNames } from "../members/attributes.ts";
import { addressText } from "../record/address.ts";
import { readComm } from "../record/comm.ts";
import {
  ConnDirection,
  ConnFact,
  ConnMetadata,
  EVENT_ENDS_DADDR_H,
  EVENT_ENDS_SADDR_H,
  EVENT_KIND,
  EVENT_OWNER_CGROUP_ID,
  EVENT_OWNER_COMM,
  EVENT_OWNER_PID,
  eventSize,
  EventKind as Kind,
  EventView,
  readEvent,
  writeEvent,
  type Event,
} from "../record/layout.gen.ts";
import { recurring } from "../record/recurring.ts";
import type { Asked } from "./process/command_lines.ts";
import type { Group, Owned } from "./process/groups.ts";
import type { KnownFlowTotals, KnownTotals } from "./opening/offsets.ts";

export interface Known {
  tcp: KnownTotals;
  udp: KnownFlowTotals;
  /** Where the process of an event was: see process/groups.ts. */
  groupOf(pid: number | null, owner: Owned): Group;
  /** Its command line, where they are asked for: see process/command_lines.ts. */
  argsOf?(pid: number | null, owner: Asked): string | null;
}

export function toConnEvent(of: Event, kind: EventKind, known: Known): TracedEvent {
  const event = asView(of);
  const { ends, owner, netns, view, p } = event;
  const { metadata } = ends;
  const pid = owner.pid || null;
  const tcp = (metadata & ConnMetadata.METADATA_TCP) !== 0;
  const addressAt = (metadata & ConnMetadata.METADATA_IPV6) !== 0 ? ipv6At : ipv4At;
  const local = addressAt(view, p + EVENT_ENDS_SADDR_H);
  const remote = addressAt(view, p + EVENT_ENDS_DADDR_H);
  const group = known.groupOf(pid, owner);
  const shown: TracedEvent = {
    kind,
    cookie: event.cookie,
    protocol: tcp ? "tcp" : "udp",
    atNs: event.timestamp,
    pid,
    comm: pid === null ? null : commAt(view, p + EVENT_OWNER_COMM),
    cgroup: group.cgroup,
    container: group.container,
    family: local.family,
    direction: directionOf(event.direction),
    netns: netns === 0 ? null : netns,
    local: { address: local.address, port: ends.sport },
    remote: { address: remote.address, port: ends.dport },
  };
  for (const name of attributeNames) shown[name] = pid === null ? null : owner[name];
  if (known.argsOf !== undefined) shown.args = known.argsOf(pid, owner);
  if (hasFailed(event, kind)) shown.failure = event.failure_reason || null;
  if (kind === "close" || openWithTotals(event.kind))
    shown.totals = tcp ? totalsOf(event, known.tcp) : flowTotalsOf(event, known.udp);
  return shown;
}

/** The other opens are a flow's first datagram. */
const openWithTotals = (kind: number): boolean =>
  kind === Kind.EVENT_OPEN || kind === Kind.EVENT_SAMPLE || kind === Kind.EVENT_UDP_SAMPLE;

/** Kinds of the ring that are shown as they are. To add one, add a row. */
const kinds: ReadonlyMap<number, EventKind> = new Map([
  [Kind.EVENT_CONNECT, "connect"],
  [Kind.EVENT_ACCEPT, "accept"],
  [Kind.EVENT_CLOSE, "close"],
  [Kind.EVENT_FAIL, "fail"],
  [Kind.EVENT_OPEN, "open"],
  [Kind.EVENT_SAMPLE, "open"],
]);

export const kindOf = (event: Event): EventKind | null => kinds.get(event.kind) ?? null;

/** Of the struct event at `p`, without a view of it. */
export const kindAt = (view: DataView, p: number): number => view.getUint8(p + EVENT_KIND);
export const cgroupIdAt = (view: DataView, p: number): number =>
  view.getUint32(p + EVENT_OWNER_CGROUP_ID, true) +
  view.getUint32(p + EVENT_OWNER_CGROUP_ID + 4, true) * 2 ** 32;
export const pidAt = (view: DataView, p: number): number =>
  view.getUint32(p + EVENT_OWNER_PID, true);

/** With members that can be spread into another event, which those of a view cannot. */
export const plainEvent = (event: Event): Event =>
  event instanceof EventView ? readEvent(event.view, event.p) : event;

/** Most events come from a ring and are read there; one that was put together by the tool is laid out the same way. */
export function asView(event: Event): EventView {
  if (event instanceof EventView) return event;
  const view = new DataView(new ArrayBuffer(eventSize));
  writeEvent(view, 0, event);
  return new EventView(view, 0);
}

// --- internal ---

/** An accept can carry the fact too: of a connection that was reset before somebody took it. Its close tells. */
const hasFailed = ({ flags }: Event, kind: EventKind): boolean =>
  (kind === "fail" || kind === "close") && (flags & ConnFact.FACT_FAILED) !== 0;

const commAt = recurring(readComm);
const ipv6At = recurring((bytes) => addressText(bytes, 6));
/** The low word holds it. */
const ipv4At = recurring((bytes) => addressText(bytes.subarray(8), 4));

/**
 * bytes_acked counts a SYN that was sent and write_seq a FIN: of a connection older than the trace the one is not
 * known unless its direction is, of one whose close was not seen the other.
 */
function totalsOf(event: Event, known: KnownTotals): Totals {
  const is = (fact: number) => (event.flags & fact) !== 0;
  const unseenOpen = is(ConnFact.FACT_UNSEEN_OPEN);
  const undirected = unseenOpen && event.direction === ConnDirection.DIRECTION_UNKNOWN;
  const told = !is(ConnFact.FACT_TOTALS_LOST);
  const stable = told && !is(ConnFact.FACT_COUNTERS_UNSTABLE);
  const sent = known.bytesSent && stable && !undirected && !is(ConnFact.FACT_UNSEEN_CLOSE);
  return {
    bytesSent: sent ? plausible(event.sent_bytes) : null,
    bytesReceived: known.bytesReceived && stable ? plausible(event.recv_bytes) : null,
    segsOut: told && known.segs ? Number(event.sent_packets) : null,
    segsIn: told && known.segs ? Number(event.recv_packets) : null,
    rttUs: told && known.rtt ? event.rtt : null,
    rttVarUs: told && known.rttVar ? event.rtt_var : null,
    retransmits: told && known.retransmits ? event.retransmits : null,
    durationNs: unseenOpen ? null : lastedNs(event),
  };
}

/** Of a UDP flow. */
function flowTotalsOf(event: Event, known: KnownFlowTotals): Totals {
  const told = (event.flags & ConnFact.FACT_TOTALS_LOST) === 0;
  return {
    bytesSent: told && known.bytes ? event.sent_bytes : null,
    bytesReceived: told && known.bytes ? event.recv_bytes : null,
    segsOut: told && known.packets ? Number(event.sent_packets) : null,
    segsIn: told && known.packets ? Number(event.recv_packets) : null,
    rttUs: null,
    rttVarUs: null,
    retransmits: null,
    durationNs: told && (event.flags & ConnFact.FACT_UNSEEN_OPEN) === 0 ? lastedNs(event) : null,
  };
}

const lastedNs = ({ started_at, ended_at }: Event): bigint =>
  BigInt.asUintN(64, ended_at - started_at);

/** No connection moves 2^63 bytes: a count beyond came of something we do not know, so it is not known. */
const plausible = (bytes: bigint): bigint | null => (bytes < IMPLAUSIBLE ? bytes : null);
const IMPLAUSIBLE = 1n << 63n;

function directionOf(direction: number): Direction {
  if (direction === ConnDirection.DIRECTION_INCOMING) return "incoming";
  return direction === ConnDirection.DIRECTION_OUTGOING ? "outgoing" : "unknown";
}
