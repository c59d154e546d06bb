/**
 * The connections that begin while the trace runs: those of a poll are asked for together, before any of them is shown.
 * Each is asked for once: later its tuple may be another connection's. Pure but for the table that is asked.
 */
import {
  ConnDirection,
  EVENT_DIRECTION,
  EVENT_ENDS_SPORT,
  EventKind,
  readEvent,
  type Event,
} from "../../record/layout.gen.ts";
import { kindAt } from "../event.ts";
import { natOf, tupleOf, type Ask, type Asked, type Nat } from "./ask.ts";
import { keyOf, type KnownNat } from "./ask_known.ts";

/** The kinds of record that begin a connection, and whether the other end has answered. To add one, add a row. */
const BEGINNINGS: ReadonlyMap<number, boolean | undefined> = new Map([
  [EventKind.EVENT_CONNECT, true],
  [EventKind.EVENT_PASSIVE, true],
  // An attempt without an answer keeps its entry. A refused one loses it.
  [EventKind.EVENT_FAIL, false],
  [EventKind.EVENT_UDP_OPEN, undefined],
]);

interface Begun {
  event: Event;
  asked: Asked;
}

export class Inquiry {
  readonly #known: KnownNat;
  readonly #root: number | null;
  readonly #ask: Ask;
  /** Connections that are over by now, and whose tuple may be another one's. */
  #over = new Set<string>();
  /** By tuple: one that began twice within a poll has the entry of the later connection. */
  #begun = new Map<string, Begun>();
  /** A record that is too young for its poll is seen again in the next. */
  #seen: ReadonlySet<string> = new Set();
  #seenNow = new Set<string>();
  /** Answers that were another connection's if this one was over when it was asked for. */
  #doubtful: { event: Event; nat: Nat }[] = [];

  /** `root`: the host's network namespace, if it can be told. */
  constructor(known: KnownNat, root: number | null, ask: Ask) {
    this.#known = known;
    this.#root = root;
    this.#ask = ask;
  }

  /** The record at `p` has been drained. */
  drained(view: DataView, p: number): void {
    const kind = kindAt(view, p);
    if (kind === EventKind.EVENT_CLOSE && mayBeTaken(endsAt(view, p)))
      this.#over.add(connectionOf(readEvent(view, p)));
    if (!BEGINNINGS.has(kind)) return;
    const event = readEvent(view, p);
    const id = `${keyOf(event)} ${event.cookie} ${kind}`;
    this.#seenNow.add(id);
    if (this.#seen.has(id)) return;
    const tuple = tupleOf(event);
    if (tuple === null) return;
    const answered = BEGINNINGS.get(kind);
    const asked = { netns: event.netns, tuple, ...(answered === undefined ? {} : { answered }) };
    const { protocol, source, destination } = tuple;
    const key = `${event.netns} ${protocol} ${source.address} ${source.port} ${destination.address} ${destination.port}`;
    const other = this.#begun.get(key);
    if (other === undefined || other.event.timestamp <= event.timestamp)
      this.#begun.set(key, { event, asked });
  }

  /** All records of the poll have been drained. */
  ask(): void {
    const begun = [...this.#begun.values()].filter(
      ({ event }) => !this.#over.has(connectionOf(event)),
    );
    for (const { event, nat } of this.#doubtful)
      if (!this.#over.has(connectionOf(event))) this.#known.set(event, nat);
    this.#doubtful = [];
    this.#begun = new Map();
    this.#over = new Set();
    this.#seen = this.#seenNow;
    this.#seenNow = new Set();
    if (begun.length === 0) return;
    const nat = natOf(
      begun.map(({ asked }) => asked),
      this.#root,
      this.#ask,
    );
    for (const [n, { event }] of begun.entries()) {
      // Its close may have come after this poll was drained, and before the question: the next poll tells.
      if (
        event.kind === EventKind.EVENT_CONNECT &&
        mayBeTaken({ direction: event.direction, sport: event.ends.sport })
      )
        this.#doubtful.push({ event, nat: nat[n]! });
      else this.#known.set(event, nat[n]!);
    }
  }
}

// --- internal ---

/** The kernel chooses ports from here on, unless a host says otherwise, and not the same one again so soon. */
const FIRST_CHOSEN = 32_768;

/**
 * Whether the next connection can have the tuple of this one: then its entry would be found. A client that binds its port can
 * use it again at once. A server's end does not tell: a gateway may have chosen the client's port.
 */
const mayBeTaken = ({ direction, sport }: { direction: number; sport: number }): boolean =>
  direction === ConnDirection.DIRECTION_OUTGOING && sport < FIRST_CHOSEN;

const endsAt = (view: DataView, p: number) => ({
  direction: view.getUint8(p + EVENT_DIRECTION),
  sport: view.getUint16(p + EVENT_ENDS_SPORT, true),
});

const connectionOf = (event: Event): string => `${keyOf(event)} ${event.cookie}`;
