/** A record of the ring to an event. Pure. */
import type { Direction, EventKind, Totals } from "../conn/event.ts";
import type { TracedEvent } from "../conn/identity.ts";
import { addressOfWords } from "../record/address.ts";
import { readComm } from "../record/comm.ts";
import { RecordError } from "../record/error.ts";
import {
  ConnDirection,
  ConnFact,
  ConnMetadata,
  eventSize,
  readEvent,
  EventKind as Kind,
  type Event,
} from "../record/layout.gen.ts";
import type { KnownFlowTotals, KnownTotals } from "./offsets.ts";

/**
 * Every record in what one drain copied: u32 size, u32 cpu, the record, padded to 8 bytes. Throws a RecordError when a
 * record reaches beyond it.
 */
export function readRecords(drained: Uint8Array): Event[] {
  const view = new DataView(drained.buffer, drained.byteOffset, drained.byteLength);
  const events: Event[] = [];
  for (let at = 0; at + 8 <= drained.length;) {
    const size = view.getUint32(at, true);
    if (at + 8 + size > drained.length)
      throw new RecordError("the event ring", `a record of ${size} bytes reaches beyond the drain`);
    if (size >= eventSize) events.push(readEvent(view, at + 8));
    at += 8 + ((size + 7) & ~7);
  }
  return events;
}

export interface Known {
  tcp: KnownTotals;
  udp: KnownFlowTotals;
}

export function toConnEvent(event: Event, kind: EventKind, known: Known): TracedEvent {
  const { tup, conn_stats: stats } = event.conn;
  const reason = event.conn.tcp_stats.failure_reason;
  const tcp = (tup.metadata & ConnMetadata.METADATA_TCP) !== 0;
  const family = (tup.metadata & ConnMetadata.METADATA_IPV6) !== 0 ? 6 : 4;
  const local = addressOfWords(tup.saddr_h, tup.saddr_l, family);
  const remote = addressOfWords(tup.daddr_h, tup.daddr_l, family);
  return {
    kind,
    cookie: stats.cookie,
    protocol: tcp ? "tcp" : "udp",
    atNs: stats.timestamp,
    pid: tup.pid === 0 ? null : tup.pid,
    comm: tup.pid === 0 ? null : readComm(event.comm),
    family: local.family,
    direction: directionOf(stats.direction),
    netns: tup.netns === 0 ? null : tup.netns,
    local: { address: local.address, port: tup.sport },
    remote: { address: remote.address, port: tup.dport },
    ...(hasFailed(event, kind) ? { failure: reason || null } : {}),
    ...(kind === "close" || openWithTotals.has(event.kind)
      ? { totals: tcp ? totalsOf(event, known.tcp) : flowTotalsOf(event, known.udp) }
      : {}),
  };
}

/** The other opens are a flow's first datagram. */
const openWithTotals = new Set<number>([Kind.EVENT_OPEN, Kind.EVENT_SAMPLE]);

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

// --- internal ---

/** An accept can carry the fact too: of a connection that was reset before somebody took it. Its close tells. */
const hasFailed = ({ flags }: Event, kind: EventKind): boolean =>
  (kind === "fail" || kind === "close") && (flags & ConnFact.FACT_FAILED) !== 0;

/**
 * bytes_acked counts a SYN that was sent and write_seq a FIN: of a connection older than the trace the one is not
 * known unless its direction is, of one whose close was not seen the other.
 */
function totalsOf({ conn, flags }: Event, known: KnownTotals): Totals {
  const { conn_stats: stats, tcp_stats: tcp } = conn;
  const is = (fact: number) => (flags & fact) !== 0;
  const unseenOpen = is(ConnFact.FACT_UNSEEN_OPEN);
  const undirected = unseenOpen && stats.direction === ConnDirection.DIRECTION_UNKNOWN;
  const stable = !is(ConnFact.FACT_COUNTERS_UNSTABLE);
  const sent = known.bytesSent && stable && !undirected && !is(ConnFact.FACT_UNSEEN_CLOSE);
  return {
    bytesSent: sent ? plausible(stats.sent_bytes) : null,
    bytesReceived: known.bytesReceived && stable ? plausible(stats.recv_bytes) : null,
    segsOut: known.segs ? stats.sent_packets : null,
    segsIn: known.segs ? stats.recv_packets : null,
    rttUs: known.rtt ? tcp.rtt : null,
    rttVarUs: known.rttVar ? tcp.rtt_var : null,
    retransmits: known.retransmits ? tcp.retransmits : null,
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
const plausible = (bytes: bigint): bigint | null => (bytes < 1n << 63n ? bytes : null);

function directionOf(direction: number): Direction {
  if (direction === ConnDirection.DIRECTION_INCOMING) return "incoming";
  return direction === ConnDirection.DIRECTION_OUTGOING ? "outgoing" : "unknown";
}
