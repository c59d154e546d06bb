/**
 * Adds up the events of a trace, each connection once: by its close, or by the newest line that says what it has moved. Pure.
 */
import { processName } from "../conn/process_name.ts";
import type { ConnEvent, Endpoint } from "../conn/event.ts";
import { translationOf } from "../conn/nat.ts";
import type { Application } from "../protocols/stack.ts";
import {
  addConnection,
  Groups,
  mostBytesFirst,
  noSums,
  remoteOf,
  serviceOf,
  type Group,
  type Grouping,
  type Sums,
} from "./groups.ts";
import { OTHERS, Rows } from "./rows.ts";

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

/** The connections that speak the same in every layer. */
export interface Spoken extends Sums {
  /** `null`: not known. */
  application: Application | null;
}

/** An event, and when it was. */
export interface Timed {
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
  /** Connects that took longest, the longest first. */
  slowest: Timed[];
  /** Closes by number, the most first; only connections with retransmits. */
  retransmits: Timed[];
  /** Closes by duration, the longest first. */
  longest: Timed[];
  /** By bytes, the most first; empty: of no connection is it known. */
  protocols: Spoken[];
  /** By number, the most first. */
  backends: Backend[];
}

/** A connection, or an attempt, with all that its lines told. */
export interface Told {
  /** The newest line. */
  event: ConnEvent;
  /** `open`: without an end in what was read. */
  state: "closed" | "open" | "failed";
  /** All in nanoseconds since 1970. When it began; `null`: not known, or before the trace. */
  beganNs: bigint | null;
  /** When it was over; of an open one, the last event of its trace. */
  untilNs: bigint;
}

export class Tally {
  readonly #most: number;
  readonly #each: ((told: Told) => void) | null;
  readonly #open = new Map<string, Open>();
  readonly #groups: Groups;
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
  /** There are far fewer stacks than rows, so that this one is never used. */
  readonly #protocols = new Rows<Spoken>(() => ({ application: null, ...noSums() }));
  readonly #sums = noSums();
  readonly #slowest: Top;
  readonly #longest: Top;
  readonly #retransmits: Top;
  #events = 0;
  #span: Summary["span"] = null;

  /** `most`: rows of each list but the groups. `each` is called once for each connection and attempt. */
  constructor(by: Grouping, most: number, each: ((told: Told) => void) | null = null) {
    this.#groups = new Groups(by);
    this.#most = most;
    this.#each = each;
    this.#slowest = new Top(
      most,
      ({ kind, connectNs }) => (kind === "connect" && connectNs) || null,
    );
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
      this.#sums.failed += 1;
      this.#groups.fail(event);
      // A flow goes on: its close tells of it.
      if (event.protocol === "udp") return;
      const beganNs = event.connectNs ? wallNs - event.connectNs : null;
      this.#each?.({ event, state: "failed", beganNs, untilNs: wallNs });
      return;
    }
    this.#slowest.add(event, wallNs);
    const key = keyOf(event);
    const known = this.#open.get(key);
    if (kind === "close") {
      this.#open.delete(key);
      const whole = joined(event, known?.event);
      this.#addConnection(whole, "closed", known?.beganNs ?? beginOf(event, wallNs), wallNs);
      this.#longest.add(whole, wallNs);
      this.#retransmits.add(whole, wallNs);
      return;
    }
    // Without an id, the same ends once more: the close in between was not read.
    const isAnother = !event.id && BEGINNINGS.has(kind);
    if (known !== undefined && isAnother) this.#addOpen(known, wallNs);
    const beganNs = known === undefined || isAnother ? beginOf(event, wallNs) : known.beganNs;
    this.#open.set(key, { event: isAnother ? event : joined(event, known?.event), beganNs });
  }

  /** A trace was over: connections that are open now have no end in what is read. */
  endOfTrace(): void {
    for (const open of this.#open.values()) this.#addOpen(open, this.#span!.toNs);
    this.#open.clear();
  }

  summary(): Summary {
    this.endOfTrace();
    return {
      span: this.#span,
      events: this.#events,
      sums: this.#sums,
      by: this.#groups.by,
      groups: this.#groups.sorted(),
      failures: this.#failures.sorted((a, b) => b.count - a.count).slice(0, this.#most),
      slowest: this.#slowest.rows,
      retransmits: this.#retransmits.rows,
      longest: this.#longest.rows,
      protocols: this.#spoken(),
      backends: this.#backends.sorted((a, b) => b.connections - a.connections).slice(0, this.#most),
    };
  }

  #addOpen({ event, beganNs }: Open, untilNs: bigint): void {
    this.#addConnection(event, "open", beganNs, untilNs);
  }

  #addConnection(
    event: ConnEvent,
    state: "closed" | "open",
    beganNs: bigint | null,
    untilNs: bigint,
  ): void {
    for (const sums of [this.#sums, this.#protocolOf(event)])
      addConnection(sums, event.totals, state === "open");
    this.#groups.add(event, state === "open");
    this.#each?.({ event, state, beganNs, untilNs });
    const backend = translationOf(event)?.remote ?? null;
    if (backend === null || event.direction !== "outgoing") return;
    const { remote } = event;
    const key = JSON.stringify([remote.address, remote.port, backend.address, backend.port]);
    this.#backends.of(key, () => ({ remote, backend, connections: 0 })).connections += 1;
  }

  #addFailure(event: ConnEvent): void {
    const { failure = null } = event;
    const comm = processName(event);
    const { address: remote } = remoteOf(event);
    const service = serviceOf(event);
    const key = JSON.stringify([comm, remote, service, failure]);
    const begin = () => ({ comm, remote, service, errno: failure, count: 0 });
    this.#failures.of(key, begin).count += 1;
  }

  #protocolOf({ application = null }: ConnEvent): Spoken {
    const key = JSON.stringify(application && Object.values(application));
    return this.#protocols.of(key, () => ({ application, ...noSums() }));
  }

  #spoken(): Spoken[] {
    const rows = this.#protocols.sorted(mostBytesFirst);
    return rows.some(({ application }) => application !== null) ? rows.slice(0, this.#most) : [];
  }
}

// --- internal ---

interface Open {
  event: ConnEvent;
  beganNs: bigint | null;
}

const BEGINNINGS: ReadonlySet<string> = new Set(["connect", "accept", "open", "begin"]);

/** When the connection began, as far as one event tells. A UDP flow may be silent for long before its close. */
function beginOf({ kind, protocol, totals }: ConnEvent, wallNs: bigint): bigint | null {
  if (kind === "connect" || kind === "accept" || kind === "begin") return wallNs;
  const durationNs = totals?.durationNs ?? null;
  return kind === "close" && protocol === "tcp" && durationNs !== null ? wallNs - durationNs : null;
}

/** Recordings from before there were ids have only the ends. */
const keyOf = ({ id, protocol, netns, local, remote }: ConnEvent): string =>
  id ?? `${protocol} ${netns} ${local.address} ${local.port} ${remote.address} ${remote.port}`;

/** With what was known of the connection before, where the event does not tell it. */
function joined(event: ConnEvent, before: ConnEvent | undefined): ConnEvent {
  if (before === undefined) return event;
  const told = event.pid === null ? before : event;
  const { pid, cgroup = null, container = null } = told;
  const comm = processName(told);
  const application = event.application ?? before.application ?? null;
  const totals = event.totals ?? before.totals;
  const connectNs = event.connectNs ?? before.connectNs ?? null;
  return {
    ...event,
    ...{ pid, comm, cgroup, container, application, connectNs },
    ...(totals && { totals }),
  };
}

const compare = (a: bigint | number, b: bigint | number): number => (a < b ? -1 : a > b ? 1 : 0);

/** The events with the most of something. */
class Top {
  readonly rows: Timed[] = [];
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
