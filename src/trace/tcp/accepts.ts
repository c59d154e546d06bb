/**
 * The tracepoint mode's accepts. No tracepoint fires in accept(2): the end of a handshake is seen, and at each poll
 * the kernel is asked whether the socket has an owner by now; the longer nobody accepts, the less often. A connection that
 * ends before tells so itself.
 */
import {
  ConnFact,
  EVENT_COOKIE,
  EVENT_FLAGS,
  EVENT_KIND,
  EVENT_OWNER,
  EventKind,
  eventSize,
  EventView,
  ownerSize,
  type Event,
  type Owner,
} from "../../record/layout.gen.ts";
import { asView, plainEvent } from "../event.ts";
import { sockAt, sockOf } from "../sock.ts";

/** The kernel's answer about a connection whose handshake is done. */
export type AcceptState =
  | { state: "waiting" }
  /** Closed meanwhile: its close event is on its way. */
  | { state: "gone" }
  | { state: "accepted"; ino: number };

export interface AcceptSources {
  ask(sk: bigint, cookie: number): AcceptState;
  /** Owners of these socket inodes; `port` and `netns` say where to look first. Missing: not found. */
  owners(inodes: Map<number, Event>): Map<number, Owner>;
}

/** An accept is noticed at most this part of the time late that the connection has waited for it. */
const LATENESS = 1 / 8;
/** And at most so much. To ask about 4,000 connections at each poll took 19 % of a processor. */
const LATEST_NS = 5e9;

export class Accepts {
  /** By sock: one that is used again was closed in between, told or not. */
  readonly #pending = new Map<number, Pending>();
  /** Gone at the last poll: the close is drained by now, unless it was lost. */
  #gone = new Set<Pending>();
  /** When the first of #pending is to be asked about; 0: at the next poll. */
  #askAtNs = Infinity;
  #lost = 0n;
  readonly #sources: AcceptSources;

  constructor(sources: AcceptSources) {
    this.#sources = sources;
  }

  /** Until the kernel is to be asked again; Infinity: nothing waits. */
  dueMs(nowNs: bigint): number {
    if (this.#pending.size === 0) return Infinity;
    return Math.max(0, (this.#askAtNs - Number(nowNs)) / 1e6);
  }

  /** Connections that ended without a close being drained: whether anybody had accepted them is not known. */
  get lost(): bigint {
    return this.#lost;
  }

  /** A handshake is done: keep it until somebody accepts. */
  established(event: Event): void {
    const sock = sockOf(event);
    if (this.#pending.has(sock)) this.#lost++;
    // A record lies where it is only for a moment.
    this.#pending.set(sock, { event: copied(event), askAtNs: 0 });
    this.#askAtNs = 0;
  }

  /**
   * The close of a connection: the accept that was not told yet, if there was one; null when it was told before; and
   * "unaccepted" for a connection that nobody ever accepted, of which nothing is to be shown.
   */
  closed(close: Event): Event | null | "unaccepted" {
    const { view, p } = asView(close);
    const accept = this.closedAt(view, p);
    return accept instanceof EventView ? plainEvent(accept) : accept;
  }

  /** The same of the close that lies at `p`, as a record. */
  closedAt(view: DataView, p: number): EventView | null | "unaccepted" {
    if (this.#pending.size === 0) return null;
    const sock = sockAt(view, p);
    const pending = this.#pending.get(sock)?.event;
    if (pending?.view.getUint32(EVENT_COOKIE, true) !== view.getUint32(p + EVENT_COOKIE, true))
      return null;
    this.#pending.delete(sock);
    const flags = view.getUint32(p + EVENT_FLAGS, true);
    if ((flags & ConnFact.FACT_ACCEPTED) === 0) return "unaccepted";
    own(pending, view, p);
    return pending;
  }

  /**
   * The connections that were accepted since they were asked about last, with their owner where it can be named. `last`:
   * all are asked about, since there is no next time.
   */
  poll(nowNs: bigint, last = false): Event[] {
    const now = last ? Infinity : Number(nowNs);
    if (this.#pending.size === 0 || now < this.#askAtNs) return [];
    const accepted = new Map<number, Event>();
    const gone = new Set<Pending>();
    this.#askAtNs = Infinity;
    for (const [sock, pending] of this.#pending) {
      const ino = now < pending.askAtNs ? null : this.#ask(sock, pending, now, gone);
      if (ino === null) this.#askAtNs = Math.min(this.#askAtNs, pending.askAtNs);
      else accepted.set(ino, pending.event);
    }
    this.#gone = gone;
    if (accepted.size === 0) return [];
    const owners = this.#sources.owners(accepted);
    return [...accepted].map(([ino, event]) => {
      const owner = owners.get(ino);
      return owner ? { ...plainEvent(event), owner } : plainEvent(event);
    });
  }

  /** The inode of its socket, if it was accepted; else null, and when it is to be asked about next. */
  #ask(sock: number, pending: Pending, now: number, gone: Set<Pending>): number | null {
    const { event } = pending;
    const answer = this.#sources.ask(event.sk, event.cookie);
    if (answer.state === "waiting") {
      const waited = now - Number(event.timestamp);
      pending.askAtNs = now + Math.min(waited * LATENESS, LATEST_NS);
      return null;
    }
    pending.askAtNs = 0;
    if (answer.state === "gone" && !this.#gone.has(pending)) {
      gone.add(pending);
      return null;
    }
    this.#pending.delete(sock);
    if (answer.state === "accepted") return answer.ino;
    this.#lost++;
    return null;
  }
}

// --- internal ---

interface Pending {
  event: EventView;
  askAtNs: number;
}

function copied(event: Event): EventView {
  const { view, p } = asView(event);
  const bytes = new Uint8Array(view.buffer, view.byteOffset + p, eventSize).slice();
  return new EventView(new DataView(bytes.buffer), 0);
}

/** Makes of a handshake the accept by the process of the close at `p`. */
function own({ view: to }: EventView, view: DataView, p: number): void {
  const followed = view.getUint32(p + EVENT_FLAGS, true) & ConnFact.FACT_FOLLOWED;
  to.setUint8(EVENT_KIND, EventKind.EVENT_ACCEPT);
  to.setUint32(EVENT_FLAGS, to.getUint32(EVENT_FLAGS, true) | followed, true);
  const owner = new Uint8Array(view.buffer, view.byteOffset + p + EVENT_OWNER, ownerSize);
  new Uint8Array(to.buffer).set(owner, EVENT_OWNER);
}
