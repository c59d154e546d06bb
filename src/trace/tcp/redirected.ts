/**
 * The connections that have entered a sockmap, from then to their end. A program may have moved bytes past TCP, so their
 * bytes are not known. Pure.
 */
import { ConnFact, EventKind, type Event } from "../../record/layout.gen.ts";
import { sockAt, sockOf } from "../sock.ts";

/** Socks that are not traced have no close that ends their entry; the oldest entries go first. */
const MOST = 65_536;

export class Redirected {
  /** When each sock entered a sockmap last. */
  readonly #entered: Map<number, bigint>;

  constructor(entered = new Map<number, bigint>()) {
    this.#entered = entered;
  }

  /** Whether `apply` could do anything with this record but return it. */
  concern(view: DataView, p: number): boolean {
    return this.#entered.size > 0 && this.#entered.has(sockAt(view, p));
  }

  /** A record as it is to be shown, in the order of time. */
  apply(event: Event): Event {
    const sock = sockOf(event);
    if (event.kind === EventKind.EVENT_SOCKMAP) {
      this.#enter(sock, event.timestamp);
      return event;
    }
    const enteredNs = this.#entered.get(sock);
    if (enteredNs === undefined) return event;
    // The end of what the sock was before has not been told. An accept comes later than the connection.
    if (event.kind === EventKind.EVENT_CONNECT && enteredNs < event.started_at) {
      this.#entered.delete(sock);
      return event;
    }
    if (event.kind === EventKind.EVENT_CLOSE || event.kind === EventKind.EVENT_FAIL)
      this.#entered.delete(sock);
    return { ...event, flags: event.flags | ConnFact.FACT_REDIRECTED };
  }

  #enter(sock: number, atNs: bigint): void {
    this.#entered.delete(sock);
    this.#entered.set(sock, atNs);
    if (this.#entered.size > MOST) this.#entered.delete(this.#entered.keys().next().value!);
  }
}
