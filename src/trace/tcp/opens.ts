/**
 * The connections that were open before the trace, from their listing to their close. The kernel side does not know
 * what /proc told of them, and a listing races with the handlers: one connection may be told twice. Pure.
 */
import {
  ConnDirection,
  ConnFact,
  EVENT_FLAGS,
  EventKind,
  LINE_CONDITIONS_FLAGS_REFUSED,
  type Event,
} from "../../record/layout.gen.ts";
import { directed } from "./census.ts";
import { KeptEvents, type Slot } from "../kept_events.ts";
import { sockAt, sockOf } from "../sock.ts";

export class Opens {
  /** By sock: its address is used again, but not before the close of what it carries. */
  readonly #open: Map<number, Slot>;
  readonly #kept = new KeptEvents();
  /**
   * Connections whose beginning or end was seen while their listing may still be on its way, by sock: what was listed waits for
   * the end of the listing, and by then the sock may have carried several.
   */
  #told: Map<number, Named[]> | null = new Map();
  /** Second entries of the kernel side for what has been told already, by sock: their closes mean nothing. */
  readonly #ghosts: Map<number, Set<string>>;

  constructor(open = new Map<number, Slot>(), ghosts = new Map<number, Set<string>>()) {
    this.#open = open;
    this.#ghosts = ghosts;
  }

  /** A record as it is to be shown, in the order of time; `null`: it has been told already. */
  apply(event: Event): Event | null {
    switch (event.kind) {
      case EventKind.EVENT_OPEN:
        return this.#opened(event);
      case EventKind.EVENT_ACCEPT:
      case EventKind.EVENT_PASSIVE:
      case EventKind.EVENT_CONNECT:
        return this.#begun(event);
      case EventKind.EVENT_CLOSE:
        return this.#ended(event);
      default:
        return event;
    }
  }

  /** Whether `apply` could do anything with this record but return it. */
  concern(view: DataView, p: number): boolean {
    if (this.#told !== null) return true;
    if (this.#open.size === 0 && this.#ghosts.size === 0) return false;
    const sock = sockAt(view, p);
    return this.#open.has(sock) || this.#ghosts.has(sock);
  }

  /** Whether nothing but what is known of a sock decides. */
  get isSettled(): boolean {
    return this.#told === null;
  }

  /** To be called when all that the listing found has been applied. */
  settle(): void {
    this.#told = null;
  }

  get size(): number {
    return this.#open.size;
  }

  #opened(event: Event): Event | null {
    if (isSame(this.#listed(event), event)) return null;
    // The probes are attached one after the other, so meanwhile the sock may carry another connection.
    if (this.#told?.get(sockOf(event))?.some((told) => isSame(told, event)) === true) {
      // Its close had begun when it was listed: its entry was gone, the sock still there.
      this.#addGhost(event);
      return null;
    }
    this.#list(event);
    return event;
  }

  /** An accept that was under way when its sock was listed; else another connection on the same sock. */
  #begun(event: Event): Event | null {
    const listed = this.#listed(event);
    if (listed === undefined) {
      this.#noteTold(event);
      return event;
    }
    if (!isSame(listed, event)) {
      this.#forget(event);
      return event;
    }
    const { direction, owner } = event;
    const known = directed(listed, direction);
    this.#list(owner.pid === 0 ? known : { ...known, owner });
    return null;
  }

  #ended(event: Event): Event | null {
    if (this.#ghosts.size > 0 && this.#deleteGhost(event)) return null;
    const listed = this.#listed(event);
    if (listed === undefined || !isSame(listed, event)) {
      this.#noteTold(event);
      return event;
    }
    this.#forget(event);
    // The handler did not find the entry that the listing was just making: that one ends with the sock.
    if (keyOf(listed) !== keyOf(event)) this.#addGhost(listed);
    return joined(listed, event);
  }

  #noteTold(event: Event): void {
    if (this.#told === null) return;
    const sock = sockOf(event);
    const before = this.#told.get(sock) ?? [];
    if (before.some((told) => isSame(told, event))) return;
    const { ends, netns } = event;
    this.#told.set(sock, [...before, { ends, netns }]);
  }

  #listed(event: Event): Event | undefined {
    const slot = this.#open.get(sockOf(event));
    return slot === undefined ? undefined : this.#kept.get(slot);
  }

  #list(event: Event): void {
    this.#forget(event);
    this.#open.set(sockOf(event), this.#kept.keep(event));
  }

  #forget(event: Event): void {
    const slot = this.#open.get(sockOf(event));
    if (slot === undefined) return;
    this.#open.delete(sockOf(event));
    this.#kept.drop(slot);
  }

  #addGhost(event: Event): void {
    const sock = sockOf(event);
    this.#ghosts.set(sock, (this.#ghosts.get(sock) ?? new Set()).add(keyOf(event)));
  }

  #deleteGhost(event: Event): boolean {
    const sock = sockOf(event);
    const ghosts = this.#ghosts.get(sock);
    if (ghosts?.delete(keyOf(event)) !== true) return false;
    if (ghosts.size === 0) this.#ghosts.delete(sock);
    return true;
  }
}

/** Of a connection that was there before the trace. */
export const isOlderAt = (view: DataView, p: number): boolean =>
  (view.getUint32(p + EVENT_FLAGS, true) & ConnFact.FACT_UNSEEN_OPEN) !== 0;

/** Of such a connection no record is to pass unseen: see Working.conditions. */
export function refuseOlder(to: DataView): void {
  const flags = to.getUint32(LINE_CONDITIONS_FLAGS_REFUSED, true);
  to.setUint32(LINE_CONDITIONS_FLAGS_REFUSED, flags | ConnFact.FACT_UNSEEN_OPEN, true);
}

// --- internal ---

const keyOf = ({ sk, cookie }: Event): string => `${sk} ${cookie}`;

type Named = Pick<Event, "ends" | "netns">;

/** Between the same ends: nothing connects them twice within a start. */
function isSame(one: Named | undefined, other: Named): boolean {
  if (one === undefined) return false;
  const [a, b] = [one.ends, other.ends];
  return (
    a.sport === b.sport &&
    a.dport === b.dport &&
    one.netns === other.netns &&
    a.saddr_l === b.saddr_l &&
    a.daddr_l === b.daddr_l &&
    a.saddr_h === b.saddr_h &&
    a.daddr_h === b.daddr_h
  );
}

/**
 * The close with what was known of the connection before, under the cookie and the beginning by which it has been told. Its
 * duration is not known: it began before the trace.
 */
function joined(listed: Event, raw: Event): Event {
  const older = {
    ...raw,
    cookie: listed.cookie,
    started_at: listed.started_at,
    owner: listed.owner.pid === 0 ? raw.owner : listed.owner,
    flags: raw.flags | ConnFact.FACT_UNSEEN_OPEN,
  };
  if (older.direction !== ConnDirection.DIRECTION_UNKNOWN) return older;
  return directed(older, listed.direction);
}
