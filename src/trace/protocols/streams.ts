/**
 * The connections whose first bytes have been looked at, from the first record to the close. A record may come before its
 * accept, so a connection is known by its sock and the sequence number of its stream until its cookie is. Pure.
 */
import type { Look } from "../../protocols/recognition.ts";
import {
  ConnDirection,
  EVENT_COOKIE,
  EVENT_ENDS_DPORT,
  type Event,
  type Payload,
} from "../../record/layout.gen.ts";
import { sockAt, sockOf } from "../sock.ts";

/** Recognises what one connection speaks. */
export interface Recogniser {
  /** true: nothing more is wanted. */
  see(look: Look): boolean;
}

export interface Stream<R> {
  /** 0: not known yet. */
  cookie: number;
  /** See struct payload. */
  stream: number;
  /** Of the remote end. */
  dport: number;
  /** See struct payload. */
  endpoint: number;
  /** When the newest of its bytes were seen, in ns. */
  lookedAt: bigint;
  recogniser: R;
  done: boolean;
}

/** Connections that are filtered out have no end that removes their entry: the oldest entries go first. */
const MOST = 65_536;

export class Streams<R extends Recogniser> {
  readonly #make: () => R;
  readonly #most: number;
  readonly #bySock: Map<number, Stream<R>>;
  readonly #known: Map<number, Stream<R>>;

  /** The maps are filled here; `known`: of which something is known. */
  constructor(
    make: () => R,
    most = MOST,
    bySock = new Map<number, Stream<R>>(),
    known = new Map<number, Stream<R>>(),
  ) {
    this.#bySock = bySock;
    this.#known = known;
    this.#make = make;
    this.#most = most;
  }

  /** Returns its connection, and whether this is the first time that nothing more of it is wanted. */
  look(payload: Payload): { stream: Stream<R>; isDone: boolean } {
    const stream = this.#of(payload);
    if (stream.done) return { stream, isDone: false };
    stream.lookedAt = payload.timestamp;
    stream.done = stream.recogniser.see({
      fromClient: fromClient(payload),
      offset: payload.offset,
      length: payload.len,
      bytes: payload.bytes.subarray(0, payload.got),
    });
    return { stream, isDone: stream.done };
  }

  /** More is known of the connection than its records hold. */
  know(stream: Stream<R>, payload: Payload): void {
    this.#known.set(sockOf(payload), stream);
  }

  /**
   * null: nothing of this connection has been looked at. Bytes from before the accept are its own from the first call on. A
   * connection that nobody accepted may have left its bytes to the next one on the sock: the remote port tells.
   */
  of({ sk, cookie, ends: { dport } }: Pick<Event, "sk" | "cookie" | "ends">): Stream<R> | null {
    return this.#find(sockOf({ sk }), cookie, dport);
  }

  /** The same of the struct event at `p`. */
  at(view: DataView, p: number): Stream<R> | null {
    if (this.#bySock.size === 0) return null;
    const cookie = view.getUint32(p + EVENT_COOKIE, true);
    return this.#find(sockAt(view, p), cookie, view.getUint16(p + EVENT_ENDS_DPORT, true));
  }

  #find(sock: number, cookie: number, dport: number): Stream<R> | null {
    const stream = this.#bySock.get(sock);
    if (stream === undefined) return null;
    if (stream.cookie === 0 && stream.dport === dport) stream.cookie = cookie;
    return stream.cookie === cookie ? stream : null;
  }

  /** The connection has ended. */
  delete(sock: number, cookie: number): void {
    if (this.#bySock.get(sock)?.cookie === cookie) this.#remove(sock);
  }

  #remove(sock: number): void {
    this.#bySock.delete(sock);
    this.#known.delete(sock);
  }

  #of(payload: Payload): Stream<R> {
    const sock = sockOf(payload);
    const { cookie, stream, dport, endpoint } = payload;
    const known = this.#bySock.get(sock);
    if (known !== undefined && isSame(known, payload)) {
      known.cookie ||= cookie;
      known.endpoint ||= endpoint;
      return known;
    }
    const fresh = {
      cookie,
      stream,
      dport,
      endpoint,
      lookedAt: payload.timestamp,
      recogniser: this.#make(),
      done: false,
    };
    this.#remove(sock);
    this.#bySock.set(sock, fresh);
    if (this.#bySock.size > this.#most) this.#remove(this.#bySock.keys().next().value!);
    return fresh;
  }
}

// --- internal ---

const isSame = (known: Stream<unknown>, { cookie, stream }: Payload): boolean =>
  known.cookie === 0 || cookie === 0 ? known.stream === stream : known.cookie === cookie;

function fromClient({ direction, sent }: Payload): boolean | null {
  if (direction === ConnDirection.DIRECTION_UNKNOWN) return null;
  return (direction === ConnDirection.DIRECTION_OUTGOING) === (sent === 1);
}
