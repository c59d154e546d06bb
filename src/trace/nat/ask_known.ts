/** The answers that are kept: the translation of each connection and each flow that was asked for. Pure. */
import {
  ConnMetadata,
  EVENT_COOKIE,
  EVENT_ENDS_METADATA,
  type Event,
} from "../../record/layout.gen.ts";
import { sockAt, sockOf } from "../sock.ts";
import type { Nat } from "./ask.ts";

interface Known {
  readonly cookie: number;
  readonly nat: Nat;
}

/** The oldest go first: their closes may have been lost, and flows are not told to have ended. */
const MOST = 131_072;

/** Connections of one sock whose closes are still to be shown while the next one has begun. */
const MOST_OF_SOCK = 8;

export class KnownNat {
  /**
   * By sock, whose address is used again, within a poll too: then the next connection is asked for before the close of the
   * last one is shown. Of UDP by the sock and the flow's ends. The newest stands first.
   */
  readonly #known = new Map<number | string, readonly Known[]>();
  #ended: Event[] = [];

  set(event: Event, nat: Nat): void {
    const key = keyOf(event);
    const others = this.#othersOf(event);
    this.#known.delete(key);
    // Unknown is what is said of those that are not here.
    const all = nat === null ? others : [{ cookie: event.cookie, nat }, ...others];
    if (all.length > 0) this.#known.set(key, all.slice(0, MOST_OF_SOCK));
    if (this.#known.size > MOST) this.#forgetOldest();
  }

  of(event: Event): Nat {
    const all = this.#known.get(keyOf(event));
    return all?.find(({ cookie }) => cookie === event.cookie)?.nat ?? null;
  }

  /** Whether anything may be known of the record at `p`. */
  concern(view: DataView, p: number): boolean {
    if (this.#known.size === 0) return false;
    const metadata = view.getUint32(p + EVENT_ENDS_METADATA, true);
    if ((metadata & ConnMetadata.METADATA_TCP) === 0) return true;
    const all = this.#known.get(sockAt(view, p));
    if (all === undefined) return false;
    const cookie = view.getUint32(p + EVENT_COOKIE, true);
    return all.some((known) => known.cookie === cookie);
  }

  /** The close of the connection is about to be shown. */
  ends(event: Event): void {
    this.#ended.push(event);
  }

  /** After the closes have been shown. */
  forgetEnded(): void {
    for (const event of this.#ended) {
      const others = this.#othersOf(event);
      if (others.length > 0) this.#known.set(keyOf(event), others);
      else this.#known.delete(keyOf(event));
    }
    this.#ended = [];
  }

  #othersOf(event: Event): readonly Known[] {
    const all = this.#known.get(keyOf(event)) ?? [];
    return all.filter(({ cookie }) => cookie !== event.cookie);
  }

  #forgetOldest(): void {
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}

/** The key by which connections and flows of one moment are told apart. */
export function keyOf(event: Event): number | string {
  const { ends } = event;
  const sock = sockOf(event);
  if ((ends.metadata & ConnMetadata.METADATA_TCP) !== 0) return sock;
  return `${sock} ${ends.sport} ${ends.saddr_h} ${ends.saddr_l} ${ends.dport} ${ends.daddr_h} ${ends.daddr_l}`;
}
