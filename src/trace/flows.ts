/**
 * What the tool knows of UDP flows. The kernel counts them (bpf/udp.h); here is decided when one has begun and when it
 * is over. Pure: the kernel's maps come as FlowSource. However events, reads of the maps and losses interleave, what is
 * shown of a flow adds up to what the kernel counted.
 */
import { ConnFact, ConnFlags, EventKind, type Event, type Flow } from "../record/layout.gen.ts";

export interface FlowSource {
  /** Every flow that the kernel has: first those of udp_flows, then those of udp_socks. */
  dump(): Iterable<Flow>;
  /** Reads and deletes a flow of udp_flows; null: it is not there. */
  take(flow: Event): Flow | null;
  /** Has the kernel look whether these sockets are still there; their ends come as events. */
  lookAfter(socks: Iterable<Event>): void;
}

export interface FlowTimeouts {
  /** A flow that is silent for so long is over. */
  silentNs: bigint;
  /** The same for one in which both ends have been heard, and one of them again. */
  assuredNs: bigint;
}

export const DEFAULT_FLOW_TIMEOUTS: FlowTimeouts = {
  silentNs: 30_000_000_000n,
  assuredNs: 120_000_000_000n,
};

export interface ShownFlow {
  event: Event;
  kind: "open" | "close";
}

export class Flows {
  readonly #source: FlowSource;
  readonly #timeouts: FlowTimeouts;
  readonly #socks = new Map<string, Sock>();
  #nextTickNs = 0n;

  constructor(source: FlowSource, timeouts: FlowTimeouts) {
    this.#source = source;
    this.#timeouts = timeouts;
  }

  /** One event of the ring, in order of time. null: it is none of UDP's. */
  event(event: Event): ShownFlow[] | null {
    if (event.kind === EventKind.EVENT_UDP_OPEN) return this.#open(event);
    return event.kind === EventKind.EVENT_UDP_CLOSE ? this.#close(event) : null;
  }

  /** To be called at each poll, after its events: ends what is silent, finds what no event told. */
  tick(nowNs: bigint): ShownFlow[] {
    if (nowNs < this.#nextTickNs) return [];
    this.#source.lookAfter([...this.#socks.values()].flatMap(({ first }) => first?.opened ?? []));
    const shown: ShownFlow[] = [];
    const seen = new Set<string>();
    const alive = new Set<string>();
    for (const flow of this.#source.dump()) {
      const id = sockOf(flow.event);
      const key = flowOf(flow.event, id);
      // A map that changes while it is read may give an entry twice.
      if (seen.has(key)) continue;
      seen.add(key);
      if (isFirst(flow.event)) alive.add(id);
      if (!this.#knows(flow.event, id, key)) shown.push(...this.#open(openOf(flow.event)));
      shown.push(...this.#look(flow, this.#socks.get(id)!, key, nowNs));
    }
    for (const [id, sock] of this.#socks) {
      // The event of its end may still lie in a ring: wait for the next drain.
      sock.missed = alive.has(id) ? 0 : sock.missed + 1;
      if (sock.missed <= 1) continue;
      for (const one of this.#vanished(id, sock, nowNs)) shown.push(one);
    }
    this.#nextTickNs = nowNs + this.#pauseNs(seen.size);
    return shown;
  }

  // --- internal ---

  #knows(event: Event, id: string, key: string): boolean {
    const sock = this.#socks.get(id);
    return isFirst(event) ? sock?.first != null : sock?.others.has(key) === true;
  }

  /** A flow is told once, by its event or, where that was lost, by the map. */
  #open(event: Event): ShownFlow[] {
    const id = sockOf(event);
    const soon = timeOf(event) + PAUSE_NS;
    if (this.#socks.size === 0 && this.#nextTickNs > soon) this.#nextTickNs = soon;
    const sock = this.#socks.get(id) ?? { first: null, others: new Map(), missed: 0 };
    this.#socks.set(id, sock);
    if (isFirst(event)) {
      if (sock.first) return [];
      sock.first = { opened: event, told: NOTHING, over: false };
    } else {
      const key = flowOf(event, id);
      if (sock.others.has(key)) return [];
      sock.others.set(key, event);
    }
    return [{ event, kind: "open" }];
  }

  /** The end of a socket and so of all its flows; the event holds the totals of the first. */
  #close(event: Event): ShownFlow[] {
    const id = sockOf(event);
    const sock = this.#socks.get(id);
    this.#socks.delete(id);
    // Its beginning was lost, and it ended before a look at the maps.
    if (!sock?.first) return [{ event, kind: "close" }, ...this.#closeOthers(sock, timeOf(event))];
    return [...endFirst(sock.first, event), ...this.#closeOthers(sock, timeOf(event))];
  }

  #closeOthers(sock: Sock | undefined, atNs: bigint): ShownFlow[] {
    return [...(sock?.others.values() ?? [])].map((opened) => {
      const flow = this.#source.take(opened);
      return { event: flow ? closeOf(flow, atNs) : lostOf(opened, atNs), kind: "close" };
    });
  }

  /** One flow as the maps have it: has it been silent for too long, or is it awake again? */
  #look(flow: Flow, sock: Sock, key: string, nowNs: bigint): ShownFlow[] {
    const { event } = flow;
    const silent = nowNs - timeOf(event) > this.#timeoutOf(event);
    if (isFirst(event)) {
      const first = sock.first!;
      const woken = wake(first, event, flow);
      if (!silent || first.over) return woken;
      // It stays in the map, which remembers by it that the socket is there: what was told is subtracted from now on.
      const close = minus(closeOf(flow, nowNs), first.told);
      first.told = countsOf(closeOf(flow, nowNs));
      first.over = true;
      return [...woken, { event: close, kind: "close" }];
    }
    if (!silent) return [];
    const taken = this.#source.take(event);
    sock.others.delete(key);
    return taken ? [{ event: closeOf(taken, nowNs), kind: "close" }] : [];
  }

  /** A look costs some microseconds per flow, so that many flows are looked at more rarely. */
  #pauseNs(flows: number): bigint {
    const { silentNs, assuredNs } = this.#timeouts;
    const shortest = silentNs < assuredNs ? silentNs : assuredNs;
    // To find two large maps empty takes long: where no event tells of a flow, that is only for events that were lost.
    if (this.#socks.size === 0) return shortest / 8n;
    const usual = shortest / 8n < PAUSE_NS ? shortest / 8n : PAUSE_NS;
    const busy = BigInt(flows) * PAUSE_PER_FLOW_NS;
    return usual > busy ? usual : busy;
  }

  #timeoutOf({ conn }: Event): bigint {
    const assured = (conn.conn_stats.flags & ConnFlags.CONN_ASSURED) !== 0;
    return assured ? this.#timeouts.assuredNs : this.#timeouts.silentNs;
  }

  /** A socket that is in no map any more, and whose end no event told. */
  #vanished(id: string, sock: Sock, nowNs: bigint): ShownFlow[] {
    this.#socks.delete(id);
    const shown: ShownFlow[] = [];
    if (sock.first && !sock.first.over)
      shown.push({ event: lostOf(sock.first.opened, nowNs), kind: "close" });
    return [...shown, ...this.#closeOthers(sock, nowNs)];
  }
}

const PAUSE_NS = 1_000_000_000n;
const PAUSE_PER_FLOW_NS = 50_000n;

interface Counts {
  sentBytes: bigint;
  receivedBytes: bigint;
  sentPackets: bigint;
  receivedPackets: bigint;
}
const NOTHING: Counts = {
  sentBytes: 0n,
  receivedBytes: 0n,
  sentPackets: 0n,
  receivedPackets: 0n,
};

interface First {
  opened: Event;
  /** What its earlier closes told. */
  told: Counts;
  /** Closed for its silence. */
  over: boolean;
}

interface Sock {
  first: First | null;
  others: Map<string, Event>;
  /** Looks at the maps in a row that did not find it. */
  missed: number;
}

const timeOf = ({ conn }: Event): bigint => conn.conn_stats.timestamp;
const isFirst = ({ flags }: Event): boolean => (flags & ConnFact.FACT_FIRST_FLOW) !== 0;

/** Keys are bytes: a big number costs ten times as much as text, and a look at all flows makes a key for each. */
const keyBytes = Buffer.alloc(52);
const keyView = new DataView(keyBytes.buffer, keyBytes.byteOffset, keyBytes.length);

/** A sock's address is used again, its cookie is not. */
function sockOf({ sk, conn }: Event): string {
  keyView.setBigUint64(0, sk);
  keyView.setUint32(8, conn.conn_stats.cookie);
  return keyBytes.toString("latin1", 0, 12);
}

/** `id`: its sockOf. */
function flowOf(event: Event, id: string): string {
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
const openOf = (event: Event): Event => at(event, event.conn.conn_stats.duration);

function at(event: Event, timestamp: bigint): Event {
  const conn_stats = { ...event.conn.conn_stats, timestamp };
  return { ...event, conn: { ...event.conn, conn_stats } };
}

/** What a flow of the map ends with: from its first datagram to its last. */
function closeOf({ event, sent_packets, recv_packets }: Flow, atNs: bigint): Event {
  const { conn_stats } = event.conn;
  const lasted = { ...conn_stats, timestamp: atNs };
  lasted.duration = conn_stats.timestamp - conn_stats.duration;
  const conn = { ...event.conn, conn_stats: lasted };
  const close = { ...event, kind: EventKind.EVENT_UDP_CLOSE, conn };
  return withPackets(close, sent_packets, recv_packets);
}

/** The end of a flow whose totals nobody knows. */
function lostOf(opened: Event, atNs: bigint): Event {
  const flags = opened.flags | ConnFact.FACT_TOTALS_LOST;
  return { ...at(opened, atNs), kind: EventKind.EVENT_UDP_CLOSE, flags };
}

function endFirst(first: First, close: Event): ShownFlow[] {
  const woken = wake(first, close, null);
  return first.over ? [] : [...woken, { event: minus(close, first.told), kind: "close" }];
}

/** Closed for its silence, and then there were datagrams again: that is another record, of the same owner. */
function wake(first: First, event: Event, flow: Flow | null): ShownFlow[] {
  if (!first.over) return [];
  const counts = countsOf(flow ? closeOf(flow, 0n) : event);
  if (same(counts, first.told)) return [];
  first.over = false;
  return [{ event: at(first.opened, timeOf(event)), kind: "open" }];
}

function countsOf({ conn: { conn_stats: stats, tcp_stats: high } }: Event): Counts {
  return {
    sentBytes: stats.sent_bytes,
    receivedBytes: stats.recv_bytes,
    sentPackets: BigInt(stats.sent_packets) + (BigInt(high.rtt) << 32n),
    receivedPackets: BigInt(stats.recv_packets) + (BigInt(high.rtt_var) << 32n),
  };
}

const same = (a: Counts, b: Counts): boolean =>
  a.sentPackets === b.sentPackets &&
  a.receivedPackets === b.receivedPackets &&
  a.sentBytes === b.sentBytes &&
  a.receivedBytes === b.receivedBytes;

/** When the rest began was not seen, so how long it took is not known. */
function minus(close: Event, told: Counts): Event {
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
