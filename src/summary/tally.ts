/**
 * Adds up the events of a trace, each connection once: by its close, or by the newest line that says what it has moved. Pure.
 */
import type { ConnEvent, Endpoint } from "../conn/event.ts";
import { translationOf } from "../conn/nat.ts";
import {
  addConnection,
  groupings,
  noSums,
  remoteOf,
  serviceOf,
  type Grouping,
  type Sums,
} from "./groups.ts";

export interface Group extends Sums {
  /** `null`: not known. */
  name: string | null;
}

export interface Failures {
  comm: string | null;
  remote: string;
  service: string | null;
  /** `null`: the reason is not known. */
  errno: number | null;
  count: number;
}

/** The end that connections name, and the one that really answers. */
export interface Backend {
  remote: Endpoint;
  backend: Endpoint;
  connections: number;
}

/** A connection that is over, and when that was. */
export interface Ended {
  event: ConnEvent;
  wallNs: bigint;
}

export interface Summary {
  /** Of the first and the last event, nanoseconds since 1970; `null`: there is none. */
  span: { fromNs: bigint; toNs: bigint } | null;
  events: number;
  sums: Sums;
  by: Grouping;
  /** By bytes, the most first. */
  groups: Group[];
  /** By number, the most first; attempts to connect, and connections that ended by an error. */
  failures: Failures[];
  /** By number, the most first; only connections with retransmits. */
  retransmits: Ended[];
  /** By duration, the longest first. */
  longest: Ended[];
  /** By number, the most first. */
  backends: Backend[];
}

/** Rows of one list beyond so many are put together as one, so that memory has a bound. */
const MOST_ROWS = 65_536;
/** The name of that row. No process has it: the kernel keeps 15 bytes of a name. */
export const OTHERS = "(all others together)";

export class Tally {
  readonly #by: Grouping;
  readonly #most: number;
  readonly #open = new Map<string, ConnEvent>();
  readonly #groups = new Rows<Group>(() => ({ name: OTHERS, ...noSums() }));
  readonly #failures = new Rows<Failures>(() => ({
    comm: OTHERS,
    remote: "",
    service: null,
    errno: null,
    count: 0,
  }));
  readonly #backends = new Rows<Backend>(() => ({
    remote: { address: OTHERS, port: 0 },
    backend: { address: "", port: 0 },
    connections: 0,
  }));
  readonly #sums = noSums();
  readonly #longest: Top;
  readonly #retransmits: Top;
  #events = 0;
  #span: Summary["span"] = null;

  /** `most`: rows of each list but the groups. */
  constructor(by: Grouping, most: number) {
    this.#by = by;
    this.#most = most;
    this.#longest = new Top(most, ({ totals }) => totals?.durationNs ?? null);
    this.#retransmits = new Top(most, ({ totals }) => totals?.retransmits || null);
  }

  /** In the order of time. */
  add(event: ConnEvent, wallNs: bigint): void {
    this.#events += 1;
    const { fromNs, toNs } = this.#span ?? { fromNs: wallNs, toNs: wallNs };
    this.#span = {
      fromNs: wallNs < fromNs ? wallNs : fromNs,
      toNs: wallNs > toNs ? wallNs : toNs,
    };
    if (event.failure !== undefined) this.#addFailure(event);
    const { kind } = event;
    if (kind === "fail") {
      for (const sums of [this.#sums, this.#groupOf(event)]) sums.failed += 1;
      return;
    }
    const key = keyOf(event);
    const known = this.#open.get(key);
    if (kind === "close") {
      this.#open.delete(key);
      this.#addConnection(named(event, known), false);
      this.#longest.add(event, wallNs);
      this.#retransmits.add(event, wallNs);
      return;
    }
    // The same ends once more: the close in between was not read.
    if (known !== undefined && BEGINNINGS.has(kind)) this.#addConnection(known, true);
    this.#open.set(key, kind === "sample" ? named(event, known) : event);
  }

  /** A trace was over: connections that are open now have no end in what is read. */
  endOfTrace(): void {
    for (const event of this.#open.values()) this.#addConnection(event, true);
    this.#open.clear();
  }

  summary(): Summary {
    this.endOfTrace();
    return {
      span: this.#span,
      events: this.#events,
      sums: this.#sums,
      by: this.#by,
      groups: this.#groups.sorted(
        (a, b) =>
          compare(bytesOf(b), bytesOf(a)) || b.connections + b.failed - a.connections - a.failed,
      ),
      failures: this.#failures.sorted((a, b) => b.count - a.count).slice(0, this.#most),
      retransmits: this.#retransmits.rows,
      longest: this.#longest.rows,
      backends: this.#backends.sorted((a, b) => b.connections - a.connections).slice(0, this.#most),
    };
  }

  #addConnection(event: ConnEvent, isOpen: boolean): void {
    for (const sums of [this.#sums, this.#groupOf(event)])
      addConnection(sums, event.totals, isOpen);
    const backend = translationOf(event)?.remote ?? null;
    if (backend === null || event.direction !== "outgoing") return;
    const { remote } = event;
    const key = JSON.stringify([remote.address, remote.port, backend.address, backend.port]);
    this.#backends.of(key, () => ({ remote, backend, connections: 0 })).connections += 1;
  }

  #addFailure(event: ConnEvent): void {
    const { comm, failure = null } = event;
    const { address: remote } = remoteOf(event);
    const service = serviceOf(event);
    const key = JSON.stringify([comm, remote, service, failure]);
    const begin = () => ({ comm, remote, service, errno: failure, count: 0 });
    this.#failures.of(key, begin).count += 1;
  }

  #groupOf(event: ConnEvent): Group {
    const name = groupings[this.#by].of(event);
    return this.#groups.of(JSON.stringify(name), () => ({ name, ...noSums() }));
  }
}

// --- internal ---

const BEGINNINGS: ReadonlySet<string> = new Set(["connect", "accept", "open", "begin"]);

const keyOf = ({ protocol, netns, local, remote }: ConnEvent): string =>
  `${protocol} ${netns} ${local.address} ${local.port} ${remote.address} ${remote.port}`;

/** Where its process is not known any more, the one that was known before. */
function named(event: ConnEvent, before: ConnEvent | undefined): ConnEvent {
  if (event.pid !== null || before === undefined) return event;
  const { pid, comm, cgroup = null, container = null } = before;
  return { ...event, pid, comm, cgroup, container };
}

/** Rows by their keys; `others` makes the one for all that have no room. */
class Rows<T> {
  readonly #rows = new Map<string, T>();
  readonly #others: () => T;

  constructor(others: () => T) {
    this.#others = others;
  }

  of(key: string, begin: () => T): T {
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    if (this.#rows.size >= MOST_ROWS && key !== OTHERS) return this.of(OTHERS, this.#others);
    const row = begin();
    this.#rows.set(key, row);
    return row;
  }

  sorted(order: (a: T, b: T) => number): T[] {
    return [...this.#rows.values()].sort(order);
  }
}

const bytesOf = ({ bytesSent, bytesReceived }: Sums): bigint => bytesSent + bytesReceived;
const compare = (a: bigint | number, b: bigint | number): number => (a < b ? -1 : a > b ? 1 : 0);

/** The connections with the most of something. */
class Top {
  readonly rows: Ended[] = [];
  readonly #most: number;
  readonly #of: (event: ConnEvent) => bigint | number | null;

  constructor(most: number, of: (event: ConnEvent) => bigint | number | null) {
    this.#most = most;
    this.#of = of;
  }

  add(event: ConnEvent, wallNs: bigint): void {
    const size = this.#of(event);
    if (size === null) return;
    const last = this.rows.at(-1);
    if (this.rows.length >= this.#most && compare(size, this.#of(last!.event)!) <= 0) return;
    const at = this.rows.findIndex((row) => compare(this.#of(row.event)!, size) < 0);
    this.rows.splice(at < 0 ? this.rows.length : at, 0, { event, wallNs });
    this.rows.length = Math.min(this.rows.length, this.#most);
  }
}
