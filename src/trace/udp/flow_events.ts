/** Of UDP flows: which is which, what they have moved, and the events with which they begin, go on and end. Pure. */
import { ConnFact, EventKind, type Event, type Flow } from "../../record/layout.gen.ts";

export interface Counts {
  sentBytes: bigint;
  receivedBytes: bigint;
  sentPackets: bigint;
  receivedPackets: bigint;
}

export const NOTHING: Counts = {
  sentBytes: 0n,
  receivedBytes: 0n,
  sentPackets: 0n,
  receivedPackets: 0n,
};

export const timeOf = ({ conn }: Event): bigint => conn.conn_stats.timestamp;
export const isFirst = ({ flags }: Event): boolean => (flags & ConnFact.FACT_FIRST_FLOW) !== 0;

/** A sock's address is used again, its cookie is not. */
export function sockOf({ sk, conn }: Event): string {
  keyView.setBigUint64(0, sk);
  keyView.setUint32(8, conn.conn_stats.cookie);
  return keyBytes.toString("latin1", 0, 12);
}

/** `id`: its sockOf. */
export function flowOf(event: Event, id: string): string {
  if (isFirst(event)) return id;
  const { tup, conn_stats } = event.conn;
  keyView.setBigUint64(0, event.sk);
  keyView.setUint32(8, conn_stats.cookie);
  keyView.setBigUint64(12, tup.saddr_h);
  keyView.setBigUint64(20, tup.saddr_l);
  keyView.setBigUint64(28, tup.daddr_h);
  keyView.setBigUint64(36, tup.daddr_l);
  keyView.setUint16(44, tup.sport);
  keyView.setUint16(46, tup.dport);
  keyView.setUint32(48, tup.metadata);
  return keyBytes.toString("latin1", 0, 52);
}

/** What a flow of the map began with. */
export const openOf = (event: Event): Event => at(event, event.conn.conn_stats.duration);

export function at(event: Event, timestamp: bigint): Event {
  const conn_stats = { ...event.conn.conn_stats, timestamp };
  return { ...event, conn: { ...event.conn, conn_stats } };
}

/** What a flow of the map ends with: from its first datagram to its last. `opened`: as it began. */
export function closeOf({ event, sent_packets, recv_packets }: Flow, opened: Event, atNs: bigint) {
  const { conn_stats } = event.conn;
  const lasted = { ...conn_stats, timestamp: atNs };
  lasted.duration = conn_stats.timestamp - conn_stats.duration;
  const conn = { ...event.conn, conn_stats: lasted };
  const close = { ...event, kind: EventKind.EVENT_UDP_CLOSE, conn };
  return withPackets(begunAs(opened, close), sent_packets, recv_packets);
}

/** What a flow of the map has moved since it was told as over. Made of `flow` itself, of which there can be many. */
export function sampleOf(flow: Flow, opened: Event, told: Counts, atNs: bigint): Event {
  const { event } = flow;
  const { conn_stats: stats, tcp_stats: high } = event.conn;
  const sent = flow.sent_packets - told.sentPackets;
  const received = flow.recv_packets - told.receivedPackets;
  event.kind = EventKind.EVENT_UDP_SAMPLE;
  if (told !== NOTHING) event.flags |= ConnFact.FACT_UNSEEN_OPEN;
  stats.sent_bytes -= told.sentBytes;
  stats.recv_bytes -= told.receivedBytes;
  stats.sent_packets = Number(sent & 0xffff_ffffn);
  stats.recv_packets = Number(received & 0xffff_ffffn);
  high.rtt = Number(sent >> 32n);
  high.rtt_var = Number(received >> 32n);
  stats.direction = opened.conn.conn_stats.direction;
  stats.duration = stats.timestamp - stats.duration;
  stats.timestamp = atNs;
  return event;
}

/** The end of a flow whose totals nobody knows. */
export function lostOf(opened: Event, atNs: bigint): Event {
  const flags = opened.flags | ConnFact.FACT_TOTALS_LOST;
  return { ...at(opened, atNs), kind: EventKind.EVENT_UDP_CLOSE, flags };
}

/** A later event of a flow, with what has been found out about its beginning. */
export function begunAs(opened: Event, event: Event): Event {
  const { direction } = opened.conn.conn_stats;
  if (event.conn.conn_stats.direction === direction) return event;
  return { ...event, conn: { ...event.conn, conn_stats: { ...event.conn.conn_stats, direction } } };
}

export function countsOf({ conn: { conn_stats: stats, tcp_stats: high } }: Event): Counts {
  return {
    sentBytes: stats.sent_bytes,
    receivedBytes: stats.recv_bytes,
    sentPackets: BigInt(stats.sent_packets) + (BigInt(high.rtt) << 32n),
    receivedPackets: BigInt(stats.recv_packets) + (BigInt(high.rtt_var) << 32n),
  };
}

export function countsOfFlow({ event, sent_packets, recv_packets }: Flow): Counts {
  const { sent_bytes: sentBytes, recv_bytes: receivedBytes } = event.conn.conn_stats;
  return { sentBytes, receivedBytes, sentPackets: sent_packets, receivedPackets: recv_packets };
}

export const same = (a: Counts, b: Counts): boolean =>
  a.sentPackets === b.sentPackets &&
  a.receivedPackets === b.receivedPackets &&
  a.sentBytes === b.sentBytes &&
  a.receivedBytes === b.receivedBytes;

/** When the rest began was not seen, so how long it took is not known. */
export function minus(close: Event, told: Counts): Event {
  if (told === NOTHING) return close;
  const counts = countsOf(close);
  const rest = withPackets(
    { ...close, flags: close.flags | ConnFact.FACT_UNSEEN_OPEN },
    counts.sentPackets - told.sentPackets,
    counts.receivedPackets - told.receivedPackets,
  );
  rest.conn.conn_stats.sent_bytes -= told.sentBytes;
  rest.conn.conn_stats.recv_bytes -= told.receivedBytes;
  return rest;
}

// --- internal ---

/** Keys are bytes: a big number costs ten times as much as text, and a look at all flows makes a key for each. */
const keyBytes = Buffer.alloc(52);
const keyView = new DataView(keyBytes.buffer, keyBytes.byteOffset, keyBytes.length);

/** As the kernel writes them into an event: see struct event in bpf/record.h. */
function withPackets(event: Event, sent: bigint, received: bigint): Event {
  const low = (value: bigint) => Number(value & 0xffff_ffffn);
  return {
    ...event,
    conn: {
      ...event.conn,
      tcp_stats: {
        ...event.conn.tcp_stats,
        rtt: Number(sent >> 32n),
        rtt_var: Number(received >> 32n),
      },
      conn_stats: {
        ...event.conn.conn_stats,
        sent_packets: low(sent),
        recv_packets: low(received),
      },
    },
  };
}
