/** Every connection that is open, and for a while those that are over, each once. Pure. */
import type { ConnEvent } from "../conn/event.ts";
import { sameEnds, type TracedEvent } from "../conn/identity.ts";
import { attributesOf } from "../members/attributes.ts";
import { merge, NOTHING, type Counted } from "./counters.ts";

export interface Connection extends Counted {
  readonly cookie: number;
  /** The newest event, with what older ones knew better. */
  event: TracedEvent;
  rttUs: number | null;
  rttVarUs: number | null;
  state: "open" | "closed" | "failed";
  /** Place in the order of ends, from 1 on; 0 while it is open. */
  endedAs: number;
  forgotten: boolean;
  /** Another connection with the same key. */
  next: Connection | null;
}

export interface ConnectionCounts {
  /** Counters that were smaller than before; the larger number was kept. */
  underflows: bigint;
  /** Connections that were given a cookie which another one had. */
  cookieCollisions: bigint;
  /** Ends that were told again, by a close or by a failure. */
  repeatedCloses: bigint;
  repeatedFailures: bigint;
  /** Over all flows. */
  datagramsSent: bigint;
  /** Open connections that the kernel side knew no more: their end was lost. */
  vanished: bigint;
}

export class Connections {
  /** Connections that share a key are linked by `next`. */
  readonly #index = new Map<Key, Connection>();
  readonly #open = new Set<Connection>();
  /** Ended connections, the oldest first, with the time of their end: an end told twice, or a late sample, must find them. */
  readonly #over = new Map<Connection, number>();
  readonly #keep: { ms: number; most: number };
  readonly #forgotten: (connection: Connection) => void;
  readonly #observed: (connection: Connection, event: TracedEvent) => void;
  readonly counts: ConnectionCounts = {
    underflows: 0n,
    cookieCollisions: 0n,
    repeatedCloses: 0n,
    repeatedFailures: 0n,
    datagramsSent: 0n,
    vanished: 0n,
  };
  #ends = 0;

  /** `observed` is called after each observation, `forgotten` when a connection will not be heard of again. */
  constructor(
    keep: { ms: number; most: number },
    forgotten: (connection: Connection) => void,
    observed: (connection: Connection, event: TracedEvent) => void = () => {},
  ) {
    this.#keep = keep;
    this.#forgotten = forgotten;
    this.#observed = observed;
  }

  get open(): ReadonlySet<Connection> {
    return this.#open;
  }

  /** How many have ended. */
  get ends(): number {
    return this.#ends;
  }

  /** Takes in one observation; the connection, if it is over and there is news of it, else null. */
  observe(event: TracedEvent, nowMs: number): Connection | null {
    let connection = this.#find(event);
    if (connection && isAnother(connection, event)) {
      this.#over.delete(connection);
      this.#forget(connection);
      connection = null;
    }
    connection ??= this.#begin(event);
    // A flow of UDP goes on.
    const ending = event.kind === "close" || (event.kind === "fail" && event.protocol === "tcp");
    const before = connection.known;
    const { known, shown, underflows } = merge(connection, event.totals ?? null, {
      established: isEstablished(event),
      closed: ending,
    });
    if (event.protocol === "udp" && known !== before)
      this.counts.datagramsSent += BigInt((known.segsOut ?? 0) - (before.segsOut ?? 0));
    connection.known = known;
    connection.shown = shown;
    this.counts.underflows += BigInt(underflows);
    describe(connection, event);
    const state = event.kind === "fail" ? "failed" : "closed";
    if (ending && before.closed > 0) this.#repeated(state);
    else if (ending && connection.state === "open") this.#end(connection, state, nowMs);
    this.#observed(connection, event);
    return connection.state !== "open" && known !== before ? connection : null;
  }

  /** Forgets what has been over for long enough. */
  expire(nowMs: number): void {
    for (const [connection, endedMs] of this.#over) {
      if (this.#over.size <= this.#keep.most && nowMs - endedMs < this.#keep.ms) return;
      this.#over.delete(connection);
      this.#forget(connection);
    }
  }

  /** The kernel side knows it no more, and no end was told: nobody is told, but one that comes late still finds it. */
  drop(event: TracedEvent, nowMs: number): void {
    const connection = this.#find(event);
    if (connection?.state !== "open") return;
    this.counts.vanished++;
    this.#end(connection, "closed", nowMs);
  }

  #find(event: TracedEvent): Connection | null {
    let at = this.#index.get(keyOf(event)) ?? null;
    while (at !== null && !sameEnds(at.event, event)) at = at.next;
    return at;
  }

  #begin(event: TracedEvent): Connection {
    const next = this.#index.get(keyOf(event)) ?? null;
    if (next !== null) this.counts.cookieCollisions++;
    const connection: Connection = {
      cookie: event.cookie,
      event,
      known: NOTHING,
      shown: NOTHING,
      rttUs: null,
      rttVarUs: null,
      state: "open",
      endedAs: 0,
      forgotten: false,
      next,
    };
    this.#index.set(keyOf(event), connection);
    this.#open.add(connection);
    return connection;
  }

  #repeated(state: "closed" | "failed"): void {
    if (state === "closed") this.counts.repeatedCloses++;
    else this.counts.repeatedFailures++;
  }

  #end(connection: Connection, state: "closed" | "failed", nowMs: number): void {
    connection.state = state;
    connection.endedAs = ++this.#ends;
    this.#open.delete(connection);
    this.#over.set(connection, nowMs);
  }

  #forget(connection: Connection): void {
    connection.forgotten = true;
    const key = keyOf(connection.event);
    const first = this.#index.get(key)!;
    if (first !== connection) {
      let at = first;
      while (at.next !== connection) at = at.next!;
      at.next = connection.next;
    } else if (connection.next === null) this.#index.delete(key);
    else this.#index.set(key, connection.next);
    this.#forgotten(connection);
  }
}

// --- internal ---

type Key = number | string;

/** All flows of one UDP socket have one cookie, and there can be many. */
function keyOf({ protocol, cookie, local, remote }: TracedEvent): Key {
  if (protocol === "tcp") return cookie;
  return `${cookie} ${local.address} ${local.port} ${remote.address} ${remote.port}`;
}

/**
 * A UDP flow that was over for its silence, and goes on: that is another record, with counters from 0. A
 * sample that comes late does not begin it.
 */
function isAnother({ state, event: last }: Connection, event: TracedEvent): boolean {
  if (event.protocol !== "udp" || state === "open") return false;
  return event.kind === "begin" || event.atNs > last.atNs;
}

/** Told by its beginning; or by its end, when the beginning was lost: a known duration began during the trace. */
function isEstablished({ kind, protocol, totals }: TracedEvent): boolean {
  if (protocol !== "tcp") return false;
  if (kind === "connect" || kind === "accept") return true;
  return kind === "close" && totals !== undefined && totals.durationNs !== null;
}

/** The newest event describes the connection, but nothing that was known becomes unknown. */
function describe(connection: Connection, event: TracedEvent): void {
  const { event: old } = connection;
  if (event.totals && event.atNs >= old.atNs) {
    connection.rttUs = event.totals.rttUs ?? connection.rttUs;
    connection.rttVarUs = event.totals.rttVarUs ?? connection.rttVarUs;
  }
  if (event === old) return;
  const [newer, older] = event.atNs >= old.atNs ? [event, old] : [old, event];
  const owner = newer.pid === null ? older : newer;
  const direction = newer.direction === "unknown" ? older.direction : newer.direction;
  const isWhole = owner === newer && direction === newer.direction && hasAllFound(newer, older);
  connection.event = isWhole
    ? newer
    : { ...newer, ...processOf(owner), direction, ...foundOf(newer, older) };
}

/** Members that are found out while the connection goes on. To add one, add it here. */
const foundLater = ["nat", "application", "protocolSource", "tls", "dns", "quic"] as const;
type Found = Pick<ConnEvent, (typeof foundLater)[number]>;

const foundOf = (newer: Found, older: Found): Found =>
  Object.fromEntries(foundLater.map((name) => [name, newer[name] ?? older[name] ?? newer[name]]));

const hasAllFound = (newer: Found, older: Found): boolean =>
  foundLater.every((name) => (newer[name] ?? older[name] ?? null) === (newer[name] ?? null));

/** The process of an event, with all that is known of it. */
export function processOf(event: ConnEvent) {
  const { pid, comm, cgroup, container } = event;
  return {
    pid,
    comm,
    cgroup: cgroup ?? null,
    container: container ?? null,
    ...attributesOf(event),
  };
}
