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
  cookie: number;
  nat: Nat;
}

/** The oldest go first: their closes may have been lost, and flows are not told to have ended. */
const MOST = 131_072;

export class KnownNat {
  /** By sock, whose address is used again for a connection of another cookie; of UDP with the flow's ends. */
  readonly #known = new Map<number | string, Known>();
  #ended: Event[] = [];

  set(event: Event, nat: Nat): void {
    const key = keyOf(event);
    this.#known.delete(key);
    // Unknown is what is said of those that are not here.
    if (nat === null) return;
    this.#known.set(key, { cookie: event.cookie, nat });
    if (this.#known.size > MOST)
      for (const oldest of this.#known.keys()) return void this.#known.delete(oldest);
  }

  of(event: Event): Nat {
    const known = this.#known.get(keyOf(event));
    return known?.cookie === event.cookie ? known.nat : null;
  }

  /** Whether anything may be known of the record at `p`. */
  concern(view: DataView, p: number): boolean {
    if (this.#known.size === 0) return false;
    if ((view.getUint32(p + EVENT_ENDS_METADATA, true) & ConnMetadata.METADATA_TCP) === 0)
      return true;
    return this.#known.get(sockAt(view, p))?.cookie === view.getUint32(p + EVENT_COOKIE, true);
  }

  /** The close of the connection is about to be shown. */
  ends(event: Event): void {
    this.#ended.push(event);
  }

  /** After the closes have been shown. */
  forgetEnded(): void {
    for (const event of this.#ended) if (this.of(event) !== null) this.#known.delete(keyOf(event));
    this.#ended = [];
  }
}

/** The key by which connections and flows of one moment are told apart. */
export function keyOf(event: Event): number | string {
  const { ends } = event;
  const sock = sockOf(event);
  if ((ends.metadata & ConnMetadata.METADATA_TCP) !== 0) return sock;
  return `${sock} ${ends.sport} ${ends.saddr_h} ${ends.saddr_l} ${ends.dport} ${ends.daddr_h} ${ends.daddr_l}`;
}
