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
  readOwner,
  writeOwner,
  type Event,
  type Owner,
} from "../../record/layout.gen.ts";
import { asView, pidAt, plainEvent, timeAt } from "../event.ts";
import type { Acceptors, Handshake } from "./acceptors.ts";
import { sockAt, sockOf } from "../sock.ts";
import type { Handshakes } from "./handshakes.ts";

/** The kernel's answer about a connection whose handshake is done. */
export type AcceptState =
  | { state: "waiting" }
  /** Closed meanwhile: its close event is on its way. */
  | { state: "gone" }
  | { state: "accepted"; ino: number };

export type AskAccepted = (sk: bigint, cookie: number) => AcceptState;

/** An accept is noticed at most this part of the time late that the connection has waited for it. */
const LATENESS = 1 / 8;
/** And at most so much. To ask about 4,000 connections at each poll took 19 % of a processor. */
const LATEST_NS = 5e9;
/** Acceptors are remembered of so many connections; the oldest go first. */
const REMEMBERED_MAX = 16_384;
/** Where it takes too much of the time to find out who accepted: until it is tried again. */
const AGAIN_NS = 5e7;

export class Accepts {
  /** By sock: one that is used again was closed in between, told or not. */
  readonly #pending: Map<number, Pending>;
  /** Gone at the last poll: the close is drained by now, unless it was lost. */
  #gone = new Set<Pending>();
  /** When the first of #pending is to be asked about; 0: at the next poll. */
  #askAtNs = Infinity;
  #lost = 0n;
  /** By sock, of connections that were told: for those that nobody is seen to close. */
  readonly #told = new Map<number, { cookie: number; owner: Owner }>();
  readonly #askKernel: AskAccepted;
  readonly #acceptors: Acceptors;
  /** Handshakes that nobody here has been told of yet. */
  readonly #untold: Handshakes | null;

  /** `untold`: where others keep handshakes of the poll that is under way. */
  constructor(
    ask: AskAccepted,
    acceptors: Acceptors,
    pending = new Map<number, Pending>(),
    untold: Handshakes | null = null,
  ) {
    this.#pending = pending;
    this.#untold = untold;
    this.#askKernel = ask;
    this.#acceptors = acceptors;
  }

  /** A listener begins. */
  listening(event: Event): void {
    this.#takeOver();
    this.#acceptors.listening(event);
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
    this.#takeOver();
    const sock = sockOf(event);
    if (this.#pending.has(sock)) this.#lost++;
    this.#pending.set(sock, this.#pendingOf(event));
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
    if (this.#pending.size === 0 && this.#untold === null) return null;
    const sock = sockAt(view, p);
    const cookie = view.getUint32(p + EVENT_COOKIE, true);
    const untold = this.#untold?.take(sock, cookie) ?? null;
    const pending = untold === null ? this.#pending.get(sock) : this.#pendingOf(untold);
    if (pending?.event.view.getUint32(EVENT_COOKIE, true) !== cookie) return null;
    this.#pending.delete(sock);
    const flags = view.getUint32(p + EVENT_FLAGS, true);
    if ((flags & ConnFact.FACT_ACCEPTED) === 0) return "unaccepted";
    const { event, handshake } = pending;
    const by = this.#acceptors.ofClosed(handshake, pidAt(view, p), timeAt(view, p));
    const owner = by === "closer" ? readOwner(view, p + EVENT_OWNER) : by;
    own(event, owner, flags & ConnFact.FACT_FOLLOWED);
    return event;
  }

  /** Handshakes that others have kept so far are kept here from now on. */
  #takeOver(): void {
    for (const event of this.#untold?.takeAll() ?? []) {
      this.#pending.set(sockOf(event), this.#pendingOf(event));
      this.#askAtNs = 0;
    }
  }

  #pendingOf(event: Event): Pending {
    const handshake = this.#acceptors.handshake(event);
    // A record lies where it is only for a moment.
    return { event: unowned(event), handshake, ino: null, askAtNs: 0 };
  }

  /** The process that accepted the connection of this close, as far as it was told. */
  acceptorOf(close: Event): Owner | null {
    const told = this.#told.get(sockOf(close));
    return told?.cookie === close.cookie ? told.owner : null;
  }

  /**
   * The connections that were accepted since they were asked about last, with their owner where it can be named. `last`:
   * all are asked about, since there is no next time.
   */
  poll(nowNs: bigint, last = false): Event[] {
    const now = last ? Infinity : Number(nowNs);
    this.#takeOver();
    this.#acceptors.refresh();
    if (this.#pending.size === 0 || now < this.#askAtNs) return [];
    const accepted = new Map<number, readonly [sock: number, pending: Pending]>();
    const gone = new Set<Pending>();
    this.#askAtNs = Infinity;
    for (const [sock, pending] of this.#pending) {
      if (now >= pending.askAtNs) this.#ask(sock, pending, now, gone);
      if (pending.ino === null) this.#askAtNs = Math.min(this.#askAtNs, pending.askAtNs);
      else accepted.set(pending.ino, [sock, pending]);
    }
    this.#gone = gone;
    return this.#accepted(accepted, now, last);
  }

  #accepted(
    by: ReadonlyMap<number, readonly [number, Pending]>,
    nowNs: number,
    last: boolean,
  ): Event[] {
    if (by.size === 0) return [];
    const handshakes = new Map([...by].map(([ino, [, { handshake }]]) => [ino, handshake]));
    const owners = this.#acceptors.ofAccepted(handshakes, last);
    if (owners === null) {
      this.#askAtNs = nowNs + AGAIN_NS;
      return [];
    }
    return [...by].map(([ino, [sock, { event }]]) => {
      this.#pending.delete(sock);
      const owner = owners.get(ino);
      if (owner === undefined) return plainEvent(event);
      this.#remember(sock, event.cookie, owner);
      return { ...plainEvent(event), owner };
    });
  }

  #remember(sock: number, cookie: number, owner: Owner): void {
    this.#told.delete(sock);
    this.#told.set(sock, { cookie, owner });
    if (this.#told.size > REMEMBERED_MAX) this.#told.delete(this.#told.keys().next().value!);
  }

  /** Notes the inode of its socket, if it was accepted; else when it is to be asked about next. */
  #ask(sock: number, pending: Pending, now: number, gone: Set<Pending>): void {
    const { event } = pending;
    const answer = this.#askKernel(event.sk, event.cookie);
    pending.ino = null;
    if (answer.state === "waiting") {
      const waited = now - Number(event.timestamp);
      pending.askAtNs = now + Math.min(waited * LATENESS, LATEST_NS);
      return;
    }
    pending.askAtNs = 0;
    if (answer.state === "accepted") pending.ino = answer.ino;
    else if (!this.#gone.has(pending)) gone.add(pending);
    else {
      this.#pending.delete(sock);
      this.#lost++;
    }
  }
}

// --- internal ---

interface Pending {
  event: EventView;
  handshake: Handshake;
  /** Of its socket, once it was accepted. */
  ino: number | null;
  askAtNs: number;
}

/** A copy, in which the listener stands no more. */
function unowned(event: Event): EventView {
  const { view, p } = asView(event);
  const bytes = new Uint8Array(view.buffer, view.byteOffset + p, eventSize).slice();
  bytes.fill(0, EVENT_OWNER, EVENT_OWNER + ownerSize);
  return new EventView(new DataView(bytes.buffer), 0);
}

/** Makes of a handshake the accept by this process. */
function own({ view: to }: EventView, owner: Owner | null, followed: number): void {
  to.setUint8(EVENT_KIND, EventKind.EVENT_ACCEPT);
  to.setUint32(EVENT_FLAGS, to.getUint32(EVENT_FLAGS, true) | followed, true);
  if (owner !== null) writeOwner(to, EVENT_OWNER, { ...owner, listener_ino: 0 });
}
