/** The answers that are kept: the translation of each connection and each flow that was asked for. Pure. */
import {
  ConnMetadata,
  EVENT_COOKIE,
  EVENT_ENDS_METADATA,
  type Event,
} from "../../record/layout.gen.ts";
import { asView } from "../event.ts";
import { flowAt, sockAt } from "../sock.ts";
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
   * By key. A sock's address is used again, within a poll too: then the next connection is asked for before the close of the
   * last one is shown. The newest stands first.
   */
  readonly #known: Map<Identity["key"], readonly Known[]>;
  #ended: Identity[] = [];

  constructor(known = new Map<Identity["key"], readonly Known[]>()) {
    this.#known = known;
  }

  set({ key, cookie }: Identity, nat: Nat): void {
    const others = this.#othersOf(key, cookie);
    this.#known.delete(key);
    // Unknown is what is said of those that are not here.
    const all = nat === null ? others : [{ cookie, nat }, ...others];
    if (all.length > 0) this.#known.set(key, all.slice(0, MOST_OF_SOCK));
    if (this.#known.size > MOST) this.#forgetOldest();
  }

  of(event: Event): Nat {
    // The key of a flow is a text.
    if (this.#known.size === 0) return null;
    const { key, cookie } = identityOf(event);
    return this.#known.get(key)?.find((known) => known.cookie === cookie)?.nat ?? null;
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

  /** The close of the connection or the flow is about to be shown. */
  ends(event: Event): void {
    if (this.#known.size === 0) return;
    const identity = identityOf(event);
    if (this.#known.has(identity.key)) this.#ended.push(identity);
  }

  /** After the closes have been shown. */
  forgetEnded(): void {
    for (const { key, cookie } of this.#ended) {
      const others = this.#othersOf(key, cookie);
      if (others.length > 0) this.#known.set(key, others);
      else this.#known.delete(key);
    }
    this.#ended = [];
  }

  /** Flows and socks of which anything is known. */
  get size(): number {
    return this.#known.size;
  }

  #othersOf(key: Identity["key"], cookie: number): readonly Known[] {
    const all = this.#known.get(key);
    return all === undefined ? NONE : all.filter((known) => known.cookie !== cookie);
  }

  #forgetOldest(): void {
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}

/** Of one connection or flow, for the time that it is there. */
export interface Identity {
  /** Of TCP the sock, of UDP a text of the sock and the ends. */
  readonly key: number | string;
  readonly cookie: number;
}

export function identityOf(event: Event): Identity {
  const { view, p } = asView(event);
  return identityAt(view, p);
}

export function identityAt(view: DataView, p: number): Identity {
  const cookie = view.getUint32(p + EVENT_COOKIE, true);
  const metadata = view.getUint32(p + EVENT_ENDS_METADATA, true);
  if ((metadata & ConnMetadata.METADATA_TCP) !== 0) return { key: sockAt(view, p), cookie };
  return { key: flowAt(view, p), cookie };
}

// --- internal ---

const NONE: readonly Known[] = [];
