/**
 * Keeps what each connection moves from interval to interval. Every byte is counted in one interval: by the samples of a
 * connection while it is open, and by its close. Pure: times come in as parameters.
 */
import type { TracedEvent } from "../conn/identity.ts";
import { Connections, type Connection } from "../state/connections.ts";
import { Ended } from "./ended.ts";
import type { Fact, Tick } from "./facts.ts";
import { Meter } from "./meter.ts";

export interface ModelOptions {
  /** True for connections that are wanted; left out: all. */
  shows?(event: TracedEvent): boolean;
}

/** Ends are told again, and samples overtaken by an end arrive, within a poll or two. */
const KEEP_ENDED = { ms: 10_000, most: 65_536 };

export class Model {
  readonly #connections: Connections;
  readonly #entries = new Map<Connection, Entry>();
  /** Entries with news in this interval: each once. */
  #touched: Entry[] = [];
  /** Entries whose numbers go back to 0 once nothing is heard of them. */
  #moved: Entry[] = [];
  /** Failures of flows that go on. */
  #failures: Fact[] = [];
  #shows: NonNullable<ModelOptions["shows"]>;
  #ended = new Ended();
  /** The facts of the last interval that are over: they are counted as ended from the next one on. */
  #over: Fact[] = [];
  #atNs: bigint;
  #isFirst = true;

  /** `atNs`: now, CLOCK_MONOTONIC. */
  constructor(atNs: bigint, { shows = () => true }: ModelOptions = {}) {
    this.#atNs = atNs;
    this.#shows = shows;
    this.#connections = new Connections(
      KEEP_ENDED,
      (connection) => this.#entries.delete(connection),
      (connection, event) => this.#observed(connection, event),
    );
  }

  /** In the order of time. */
  observe(event: TracedEvent): void {
    // The flow goes on.
    if (event.kind === "fail" && event.protocol === "udp") this.#failures.push(failureOf(event));
    else this.#connections.observe(event, msOf(event.atNs));
  }

  /** Connections that the kernel side knows no more though no end of them was told. */
  drop(events: Iterable<TracedEvent>): void {
    for (const event of events) this.#connections.drop(event, msOf(event.atNs));
  }

  /** Only these are wanted from now on. Sums of connections that have ended begin anew. */
  choose(shows: NonNullable<ModelOptions["shows"]>): void {
    this.#shows = shows;
    for (const entry of this.#entries.values()) entry.fact = null;
    this.#ended = new Ended();
    this.#over = [];
  }

  /**
   * Ends the interval. All events up to this time have been observed, and none after it. The first one is where counting
   * begins: it has no length.
   */
  cut(atNs: bigint): Tick {
    const elapsedNs = this.#isFirst ? 0n : atNs - this.#atNs;
    this.#isFirst = false;
    this.#connections.expire(msOf(atNs));
    this.#ended.add(this.#over);
    for (const entry of this.#moved) entry.fact = null;
    const facts: Fact[] = [];
    // Of a hundred thousand most have no news: they are what they were.
    for (const entry of this.#entries.values()) {
      const { connection } = entry;
      if (connection.state !== "open") continue;
      if (entry.touched || entry.fact === null) {
        entry.fact = factOf(entry, true);
        entry.shown = this.#shows(connection.event);
      }
      if (entry.shown) facts.push(entry.fact);
    }
    this.#over = this.#failures.filter(({ event }) => this.#shows(event as TracedEvent));
    for (const entry of this.#touched)
      if (entry.connection.state !== "open" && this.#shows(entry.connection.event))
        this.#over.push(factOf(entry, false));
    for (const fact of this.#over) facts.push(fact);
    this.#next();
    this.#atNs = atNs;
    return { atNs, elapsedNs, facts, ended: this.#ended };
  }

  #next(): void {
    this.#moved = this.#touched;
    this.#touched = [];
    this.#failures = [];
    for (const entry of this.#moved) {
      entry.touched = false;
      entry.opened = false;
      if (entry.connection.state === "open") for (const meter of meters(entry)) meter.next();
      // News of it after its end are counted for themselves.
      else Object.assign(entry, metersFrom(entry.connection.known));
    }
  }

  #observed(connection: Connection, event: TracedEvent): void {
    let entry = this.#entries.get(connection);
    if (entry === undefined) {
      entry = this.#begun(connection, event);
      this.#entries.set(connection, entry);
    }
    const { totals, connectNs = null } = event;
    if (connectNs !== null) entry.connectUs = Number(connectNs / 1000n);
    if (totals !== undefined) {
      entry.tx.read(totals.bytesSent);
      entry.rx.read(totals.bytesReceived);
      entry.retransmits.read(totals.retransmits);
    }
    if (!entry.touched) this.#touched.push(entry);
    entry.touched = true;
  }

  #begun(connection: Connection, event: TracedEvent): Entry {
    const { kind, totals } = event;
    const durationNs = totals?.durationNs ?? null;
    const isOlder =
      kind === "open" ||
      (kind === "close" && durationNs === null) ||
      (kind === "sample" && event.protocol === "tcp");
    const from = isOlder ? NONE : ZERO;
    const entry: Entry = {
      connection,
      ...metersFrom(from),
      // Of a connection whose beginning was lost the close alone tells.
      opened:
        BEGINNINGS.has(kind) ||
        (kind === "close" && durationNs !== null && event.atNs - durationNs >= this.#atNs),
      connectUs: null,
      touched: false,
      fact: null,
      shown: false,
    };
    if (kind === "close" && !entry.opened) for (const meter of meters(entry)) meter.smear();
    return entry;
  }
}

// --- internal ---

interface Entry extends Meters {
  readonly connection: Connection;
  opened: boolean;
  connectUs: number | null;
  /** Whether there is news of it in this interval. */
  touched: boolean;
  /** Of the last interval; `null`: there is none, or it is no longer right. */
  fact: Fact | null;
  /** Whether the connection of this fact is wanted. */
  shown: boolean;
}

interface Meters {
  tx: Meter;
  rx: Meter;
  retransmits: Meter;
}

const BEGINNINGS: ReadonlySet<string> = new Set(["connect", "accept", "begin"]);
const ZERO = { bytesSent: 0n, bytesReceived: 0n, retransmits: 0 };
const NONE = { bytesSent: null, bytesReceived: null, retransmits: null };

const meters = ({ tx, rx, retransmits }: Meters): Meter[] => [tx, rx, retransmits];

const metersFrom = (from: {
  bytesSent: bigint | null;
  bytesReceived: bigint | null;
  retransmits: number | null;
}): Meters => ({
  tx: new Meter(from.bytesSent),
  rx: new Meter(from.bytesReceived),
  retransmits: new Meter(from.retransmits),
});

function factOf(entry: Entry, open: boolean): Fact {
  const { connection, tx, rx, retransmits, opened } = entry;
  const failed = connection.state === "failed";
  return {
    places: null,
    place: 0,
    event: connection.event,
    open,
    opened,
    failed,
    tx: tx.interval,
    rx: rx.interval,
    retransmits: retransmits.interval,
    txTotal: tx.total,
    rxTotal: rx.total,
    retransmitsTotal: retransmits.total,
    rttUs: connection.rttUs,
    // The time until a failure is none of those until a connection.
    connectUs: failed ? null : entry.connectUs,
  };
}

const failureOf = (event: TracedEvent): Fact => ({
  places: null,
  place: 0,
  event,
  open: false,
  opened: false,
  failed: true,
  tx: 0,
  rx: 0,
  retransmits: 0,
  txTotal: 0,
  rxTotal: 0,
  retransmitsTotal: 0,
  rttUs: null,
  connectUs: null,
});

const msOf = (ns: bigint): number => Number(ns / 1_000_000n);
