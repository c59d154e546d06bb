/**
 * The connections that begin while the trace runs: those of a poll are asked for together, before any of them is shown.
 * Each is asked for once: later its tuple may be another connection's. Pure but for the table that is asked.
 */
import {
  ConnDirection,
  EVENT_DIRECTION,
  EVENT_ENDS_SPORT,
  EventKind,
  EventView,
} from "../../record/layout.gen.ts";
import { kindAt, timeAt } from "../event.ts";
import { natOf, tupleOf, type Ask, type Asked, type Nat } from "./ask.ts";
import { identityAt, type Identity, type KnownNat } from "./ask_known.ts";

/** The kinds of record that begin a connection, and whether the other end has answered. To add one, add a row. */
const BEGINNINGS: ReadonlyMap<number, boolean | undefined> = new Map([
  [EventKind.EVENT_CONNECT, true],
  [EventKind.EVENT_PASSIVE, true],
  // An attempt without an answer keeps its entry. A refused one loses it.
  [EventKind.EVENT_FAIL, false],
  [EventKind.EVENT_UDP_OPEN, undefined],
]);

/** A whole event takes a kilobyte, and a burst begins tens of thousands. */
interface Begun {
  identity: Identity;
  /** Of the event, in nanoseconds. */
  ns: number;
  asked: Asked;
  /** Its close may have come after this poll was drained, and before the question: the next poll tells. */
  isDoubtful: boolean;
}

export class Inquiry {
  readonly #known: KnownNat;
  readonly #root: number | null;
  readonly #ask: Ask;
  readonly #mayTrack: (netns: number) => boolean;
  /** Whether the table of a namespace may have an entry now, since the records of this poll were drained. */
  #tracking = new Map<number, boolean>();
  /** Connections that are over by now, and whose tuple may be another one's. */
  #over = new Set<string>();
  /** By tuple: one that began twice within a poll has the entry of the later connection. */
  #begun = new Map<string, Begun>();
  /** A record that is too young for its poll is seen again in the next. */
  #seen: ReadonlySet<string> = new Set();
  #seenNow = new Set<string>();
  /** Answers that were another connection's if this one was over when it was asked for. */
  #doubtful: { identity: Identity; nat: Nat }[] = [];

  /**
   * `root`: the host's network namespace, if it can be told. `mayTrack`: false where no table has an entry that concerns
   * connections of this namespace, so that nothing is to be asked.
   */
  constructor(
    known: KnownNat,
    root: number | null,
    ask: Ask,
    mayTrack: (netns: number) => boolean = () => true,
  ) {
    this.#known = known;
    this.#root = root;
    this.#ask = ask;
    this.#mayTrack = mayTrack;
  }

  /** The record at `p` has been drained. */
  drained(view: DataView, p: number): void {
    const kind = kindAt(view, p);
    if (kind === EventKind.EVENT_CLOSE && mayBeTaken(view, p))
      this.#over.add(textOf(identityAt(view, p)));
    if (!BEGINNINGS.has(kind)) return;
    const identity = identityAt(view, p);
    const id = `${kind} ${textOf(identity)}`;
    this.#seenNow.add(id);
    if (this.#seen.has(id)) return;
    const event = new EventView(view, p);
    const { netns } = event;
    if (!this.#tracks(netns)) return;
    const tuple = tupleOf(event);
    if (tuple === null) return;
    const answered = BEGINNINGS.get(kind);
    const asked = { netns, tuple, ...(answered === undefined ? {} : { answered }) };
    const { protocol, source, destination } = tuple;
    const key = `${netns} ${protocol} ${source.address} ${source.port} ${destination.address} ${destination.port}`;
    const ns = timeAt(view, p);
    const other = this.#begun.get(key);
    if (other !== undefined && other.ns > ns) return;
    const isDoubtful = kind === EventKind.EVENT_CONNECT && mayBeTaken(view, p);
    this.#begun.set(key, { identity, ns, asked, isDoubtful });
  }

  /** All records of the poll have been drained. */
  ask(): void {
    const begun = [...this.#begun.values()].filter(
      ({ identity }) => !this.#over.has(textOf(identity)),
    );
    for (const { identity, nat } of this.#doubtful)
      if (!this.#over.has(textOf(identity))) this.#known.set(identity, nat);
    this.#doubtful = [];
    this.#begun = new Map();
    this.#over = new Set();
    this.#seen = this.#seenNow;
    this.#seenNow = new Set();
    this.#tracking.clear();
    if (begun.length === 0) return;
    const nat = natOf(
      begun.map(({ asked }) => asked),
      this.#root,
      this.#ask,
    );
    for (const [n, { identity, isDoubtful }] of begun.entries())
      if (isDoubtful) this.#doubtful.push({ identity, nat: nat[n]! });
      else this.#known.set(identity, nat[n]!);
  }

  #tracks(netns: number): boolean {
    let tracks = this.#tracking.get(netns);
    if (tracks === undefined) this.#tracking.set(netns, (tracks = this.#mayTrack(netns)));
    return tracks;
  }
}

// --- internal ---

/** The kernel chooses ports from here on, unless a host says otherwise, and not the same one again so soon. */
const FIRST_CHOSEN = 32_768;

/**
 * Whether the next connection can have the tuple of this one: then its entry would be found. A client that binds its port can
 * use it again at once. A server's end does not tell: a gateway may have chosen the client's port.
 */
const mayBeTaken = (view: DataView, p: number): boolean =>
  view.getUint8(p + EVENT_DIRECTION) === ConnDirection.DIRECTION_OUTGOING &&
  view.getUint16(p + EVENT_ENDS_SPORT, true) < FIRST_CHOSEN;

const textOf = ({ key, cookie }: Identity): string => `${key} ${cookie}`;
