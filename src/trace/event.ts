/** A record of the ring to an event. Pure. */
import type { Direction, EventKind, Totals } from "../conn/event.ts";
import type { TracedEvent } from "../conn/identity.ts";
import { addressText } from "../record/address.ts";
import { readComm } from "../record/comm.ts";
import {
  ConnDirection,
  ConnFact,
  ConnMetadata,
  eventSize,
  EventKind as Kind,
  EventView,
  readEvent,
  writeEvent,
  type Event,
} from "../record/layout.gen.ts";
import { CGROUP_ID, COMM, DADDR, KIND, PID, SADDR } from "../record/places.ts";
import { recurring } from "../record/recurring.ts";
import type { Asked } from "./process/command_lines.ts";
import type { Group, Owned } from "./process/groups.ts";
import type { KnownFlowTotals, KnownTotals } from "./opening/offsets.ts";

export interface Known {
  tcp: KnownTotals;
  udp: KnownFlowTotals;
  /** Where the process of an event was: see process/groups.ts. */
  groupOf(pid: number | null, event: Owned): Group;
  /** Its command line, where they are asked for: see process/command_lines.ts. */
  argsOf?(pid: number | null, event: Asked): string | null;
}

export function toConnEvent(of: Event, kind: EventKind, known: Known): TracedEvent {
  const event = asView(of);
  const { tup, conn_stats: stats } = event.conn;
  const { metadata, netns } = tup;
  const pid = tup.pid || null;
  const tcp = (metadata & ConnMetadata.METADATA_TCP) !== 0;
  const addressAt = (metadata & ConnMetadata.METADATA_IPV6) !== 0 ? ipv6At : ipv4At;
  const local = addressAt(tup.view, tup.p);
  const remote = addressAt(tup.view, tup.p + REMOTE);
  const group = known.groupOf(pid, event);
  const shown: TracedEvent = {
    kind,
    cookie: stats.cookie,
    protocol: tcp ? "tcp" : "udp",
    atNs: stats.timestamp,
    pid,
    comm: pid === null ? null : commAt(event.view, event.p + COMM),
    uid: pid === null ? null : event.uid,
    cgroup: group.cgroup,
    container: group.container,
    family: local.family,
    direction: directionOf(stats.direction),
    netns: netns === 0 ? null : netns,
    local: { address: local.address, port: tup.sport },
    remote: { address: remote.address, port: tup.dport },
  };
  if (known.argsOf !== undefined) shown.args = known.argsOf(pid, event);
  if (hasFailed(event, kind)) shown.failure = event.conn.tcp_stats.failure_reason || null;
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
export const kindAt = (view: DataView, p: number): number => view.getUint32(p + KIND, true);
export const cgroupIdAt = (view: DataView, p: number): number =>
  view.getUint32(p + CGROUP_ID, true) + view.getUint32(p + CGROUP_ID + 4, true) * 2 ** 32;
export const pidAt = (view: DataView, p: number): number => view.getUint32(p + PID, true);

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

/** Where the remote address lies in a tuple. */
const REMOTE = DADDR - SADDR;

const commAt = recurring(readComm);
const ipv6At = recurring((bytes) => addressText(bytes, 6));
/** The low word holds it. */
const ipv4At = recurring((bytes) => addressText(bytes.subarray(8), 4));

/**
 * bytes_acked counts a SYN that was sent and write_seq a FIN: of a connection older than the trace the one is not
 * known unless its direction is, of one whose close was not seen the other.
 */
function totalsOf({ conn, flags }: Event, known: KnownTotals): Totals {
  const { conn_stats: stats, tcp_stats: tcp } = conn;
  const is = (fact: number) => (flags & fact) !== 0;
  const unseenOpen = is(ConnFact.FACT_UNSEEN_OPEN);
  const undirected = unseenOpen && stats.direction === ConnDirection.DIRECTION_UNKNOWN;
  const told = !is(ConnFact.FACT_TOTALS_LOST);
  const stable = told && !is(ConnFact.FACT_COUNTERS_UNSTABLE);
  const sent = known.bytesSent && stable && !undirected && !is(ConnFact.FACT_UNSEEN_CLOSE);
  return {
    bytesSent: sent ? plausible(stats.sent_bytes) : null,
    bytesReceived: known.bytesReceived && stable ? plausible(stats.recv_bytes) : null,
    segsOut: told && known.segs ? stats.sent_packets : null,
    segsIn: told && known.segs ? stats.recv_packets : null,
    rttUs: told && known.rtt ? tcp.rtt : null,
    rttVarUs: told && known.rttVar ? tcp.rtt_var : null,
    retransmits: told && known.retransmits ? tcp.retransmits : null,
    durationNs: unseenOpen ? null : stats.duration,
  };
}

/** Of a UDP flow. The high words of its packets are where TCP has its round-trip time: see struct event. */
function flowTotalsOf({ conn, flags }: Event, known: KnownFlowTotals): Totals {
  const { conn_stats: stats, tcp_stats: high } = conn;
  const told = (flags & ConnFact.FACT_TOTALS_LOST) === 0;
  const packets = (low: number, word: number) => low + word * 2 ** 32;
  return {
    bytesSent: told && known.bytes ? stats.sent_bytes : null,
    bytesReceived: told && known.bytes ? stats.recv_bytes : null,
    segsOut: told && known.packets ? packets(stats.sent_packets, high.rtt) : null,
    segsIn: told && known.packets ? packets(stats.recv_packets, high.rtt_var) : null,
    rttUs: null,
    rttVarUs: null,
    retransmits: null,
    durationNs: told && (flags & ConnFact.FACT_UNSEEN_OPEN) === 0 ? stats.duration : null,
  };
}

/** No connection moves 2^63 bytes: a count beyond came of something we do not know, so it is not known. */
const plausible = (bytes: bigint): bigint | null => (bytes < IMPLAUSIBLE ? bytes : null);
const IMPLAUSIBLE = 1n << 63n;

function directionOf(direction: number): Direction {
  if (direction === ConnDirection.DIRECTION_INCOMING) return "incoming";
  return direction === ConnDirection.DIRECTION_OUTGOING ? "outgoing" : "unknown";
}
