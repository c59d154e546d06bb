/**
 * Tells several clients of the same connections: each gets every byte exactly once, whenever it asks. Pure: time
 * comes in as a parameter, milliseconds of any clock that does not go backwards.
 */
import type { ConnEvent, ProtocolSource, Translation } from "../conn/event.ts";
import type { TracedEvent } from "../conn/identity.ts";
import { Failure } from "../errors.ts";
import type { Attributes } from "../members/attributes.ts";
import type { TlsDetails } from "../protocols/hello.ts";
import type { Application } from "../protocols/stack.ts";
import { Client, type ClientCounts } from "./clients.ts";
import { Connections, processOf, type Connection, type ConnectionCounts } from "./connections.ts";
import type { Counters } from "./counters.ts";

export interface StateOptions {
  /** Ended connections that wait for one client; further ones are dropped and counted. */
  maxEnded?: number;
  /** A client that has not asked for so long is removed. */
  clientIdleMs?: number;
}

/** A connection as one client is told of it. */
export interface ConnectionDelta
  extends
    Pick<
      ConnEvent,
      "protocol" | "family" | "direction" | "netns" | "pid" | "comm" | "local" | "remote"
    >,
    Required<Attributes> {
  /** As in ConnEvent. */
  cgroup: string | null;
  container: string | null;
  nat: Translation | false | null;
  application: Application | null;
  protocolSource: ProtocolSource | null;
  tls: TlsDetails | null;
  cookie: number;
  state: "open" | "closed" | "failed";
  /** Nanoseconds of CLOCK_MONOTONIC: the newest event or sample. */
  atNs: bigint;
  /** Since the connection began. */
  total: Counters;
  /** Since this client was last told of it; since the connection began, the first time. */
  delta: Counters;
  /** Microseconds. */
  rttUs: number | null;
  rttVarUs: number | null;
  /** Nanoseconds, once it is over; `null` also where its beginning is not known. */
  durationNs: bigint | null;
  /** errno of a connection that failed or ended by an error; `null` = not known, missing = none. */
  failure?: number | null;
}

export interface Deltas {
  /** Open, and something has moved. */
  active: ConnectionDelta[];
  /** Over since this client last asked, in the order of their ends. */
  closed: ConnectionDelta[];
}

export interface StateCounts extends ConnectionCounts, ClientCounts {
  clients: number;
  /** Connections that are open. */
  open: number;
  /** Number of counts that are kept because a client was told them, over all clients and connections. */
  remembered: number;
}

const MAX_ENDED = 65_536;
const CLIENT_IDLE_MS = 120_000;
/** Ends are told again, and samples overtaken by an end arrive, within a poll or two. */
const KEEP_ENDED_MS = 60_000;

export class ConnectionState {
  readonly #clients = new Map<string, Client>();
  readonly #connections: Connections;
  readonly #maxEnded: number;
  readonly #clientIdleMs: number;
  readonly #counts: ClientCounts = { droppedEnds: 0n, droppedEmptyEnds: 0n, expiredClients: 0n };

  constructor({ maxEnded = MAX_ENDED, clientIdleMs = CLIENT_IDLE_MS }: StateOptions = {}) {
    this.#maxEnded = maxEnded;
    this.#clientIdleMs = clientIdleMs;
    this.#connections = new Connections({ ms: KEEP_ENDED_MS, most: maxEnded }, (connection) => {
      for (const client of this.#clients.values()) client.forget(connection);
    });
  }

  /** From now on what ends is kept for this client. Again: it is only taken as a sign of life. */
  register(id: string, nowMs: number): void {
    const known = this.#clients.get(id);
    if (known) known.askedMs = nowMs;
    else
      this.#clients.set(
        id,
        new Client(this.#maxEnded, this.#connections.ends, nowMs, this.#counts),
      );
  }

  /** False: there was no such client. */
  remove(id: string): boolean {
    return this.#clients.delete(id);
  }

  /** Events and samples, in any order. `close` and `fail` end a connection. */
  observe(events: Iterable<TracedEvent>, nowMs: number): void {
    for (const event of events) {
      const ended = this.#connections.observe(event, nowMs);
      if (ended) for (const client of this.#clients.values()) client.ended(ended);
    }
    this.#connections.expire(nowMs);
    this.#expireClients(nowMs);
  }

  /** Connections that the kernel side knows no more though no end of them was told: it was lost. */
  drop(events: Iterable<TracedEvent>, nowMs: number): void {
    for (const event of events) this.#connections.drop(event, nowMs);
  }

  /** The news for this client. Throws a Failure when the client is not registered. */
  take(id: string, nowMs: number): Deltas {
    this.#expireClients(nowMs);
    const client = this.#clients.get(id);
    if (!client) throw unknownClient(id, this.#clientIdleMs);
    client.askedMs = nowMs;
    return {
      active: client.takeOpen(this.#connections.open).map(reported),
      closed: client.takeEnded().map(reported),
    };
  }

  counts(): StateCounts {
    return {
      ...this.#connections.counts,
      ...this.#counts,
      clients: this.#clients.size,
      open: this.#connections.open.size,
      remembered: [...this.#clients.values()].reduce((sum, client) => sum + client.remembered, 0),
    };
  }

  #expireClients(nowMs: number): void {
    for (const [id, { askedMs }] of this.#clients) {
      if (nowMs - askedMs <= this.#clientIdleMs) continue;
      this.#clients.delete(id);
      this.#counts.expiredClients++;
    }
  }
}

// --- internal ---

function unknownClient(id: string, idleMs: number): Failure {
  return new Failure(`client ${JSON.stringify(id)}: not registered`, {
    why: `nobody registered it, or it did not ask for more than ${idleMs / 1000} s`,
    hint: "register it; its first deltas are then those since the connections began",
  });
}

function reported({
  connection,
  delta,
}: {
  connection: Connection;
  delta: Counters;
}): ConnectionDelta {
  const { event, cookie, state, shown, rttUs, rttVarUs } = connection;
  return {
    protocol: event.protocol,
    family: event.family,
    direction: event.direction,
    netns: event.netns,
    ...processOf(event),
    local: event.local,
    remote: event.remote,
    nat: event.nat ?? null,
    application: event.application ?? null,
    protocolSource: event.protocolSource ?? null,
    tls: event.tls ?? null,
    cookie,
    state,
    atNs: event.atNs,
    total: shown,
    delta,
    rttUs,
    rttVarUs,
    durationNs: state === "open" ? null : (event.totals?.durationNs ?? null),
    ...(event.failure === undefined ? {} : { failure: event.failure }),
  };
}
