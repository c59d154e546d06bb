/** Keeps for each client the counts it has been told, and the ended connections that wait for it. Pure. */
import type { Connection } from "./connections.ts";
import { isEmpty, movedNothing, NOTHING, since, told, type Counters } from "./counters.ts";

export interface ClientCounts {
  /** Ended connections that found a client's buffer full, by whether they had moved anything. */
  droppedEnds: bigint;
  droppedEmptyEnds: bigint;
  /** Clients removed because they did not ask for too long. */
  expiredClients: bigint;
}

export class Client {
  /** The counts that the client was last told of a connection. */
  readonly #told = new Map<Connection, Counters>();
  /** Ended connections to tell. Where room is short, connections that moved nothing are dropped first. */
  readonly #ended = new Set<Connection>();
  readonly #endedEmpty = new Set<Connection>();
  readonly #counts: ClientCounts;
  readonly #most: number;
  /** A connection that ended before this time is not told to this client. */
  readonly #since: number;
  askedMs: number;

  constructor(most: number, ends: number, nowMs: number, counts: ClientCounts) {
    this.#most = most;
    this.#since = ends;
    this.askedMs = nowMs;
    this.#counts = counts;
  }

  get remembered(): number {
    return this.#told.size;
  }

  /** There is news of a connection that is over. */
  ended(connection: Connection): void {
    if (connection.endedAs <= this.#since) return;
    const empty = connection.state === "closed" && movedNothing(this.#delta(connection));
    const known = this.#endedEmpty.delete(connection) || this.#ended.delete(connection);
    if (!known && this.#ended.size + this.#endedEmpty.size >= this.#most) {
      const [victim] = empty ? [] : this.#endedEmpty;
      if (victim === undefined) {
        if (empty) this.#counts.droppedEmptyEnds++;
        else this.#counts.droppedEnds++;
        return;
      }
      this.#counts.droppedEmptyEnds++;
      this.#endedEmpty.delete(victim);
      if (victim.forgotten) this.#told.delete(victim);
    }
    (empty ? this.#endedEmpty : this.#ended).add(connection);
  }

  /** The connection will not be heard of again. */
  forget(connection: Connection): void {
    // A connection that still waits is told later, and its delta needs the counts that were told before.
    if (!this.#ended.has(connection) && !this.#endedEmpty.has(connection))
      this.#told.delete(connection);
  }

  /** Everything that ended, in that order; each once. */
  takeEnded(): { connection: Connection; delta: Counters }[] {
    const waiting = [...this.#ended, ...this.#endedEmpty].sort((a, b) => a.endedAs - b.endedAs);
    this.#ended.clear();
    this.#endedEmpty.clear();
    return waiting.flatMap((connection) => this.#tell(connection));
  }

  /** The open connections that have moved something since the client last asked. */
  takeOpen(open: Iterable<Connection>): { connection: Connection; delta: Counters }[] {
    const news: { connection: Connection; delta: Counters }[] = [];
    for (const connection of open) {
      // The same object: nothing has grown.
      if (this.#told.get(connection) !== connection.known) news.push(...this.#tell(connection));
    }
    return news;
  }

  #delta(connection: Connection): Counters {
    return since(connection.shown, this.#told.get(connection) ?? NOTHING);
  }

  #tell(connection: Connection): { connection: Connection; delta: Counters }[] {
    const before = this.#told.get(connection) ?? NOTHING;
    const delta = since(connection.shown, before);
    if (connection.forgotten) this.#told.delete(connection);
    else this.#told.set(connection, told(connection, before));
    return isEmpty(delta) ? [] : [{ connection, delta }];
  }
}
