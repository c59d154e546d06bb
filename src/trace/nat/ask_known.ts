/** The answers that are kept: the translation of each connection and each flow that was asked for. Pure. */
import {
  ConnFact,
  ConnMetadata,
  EVENT_COOKIE,
  EVENT_ENDS_METADATA,
  EVENT_FLAGS,
  EVENT_LEGS,
  EventKind,
  type Event,
} from "../../record/layout.gen.ts";
import { kindAt } from "../event.ts";
import { sockAt, sockOf } from "../sock.ts";
import type { Nat } from "./ask.ts";
import { NO_NUMBER, tellNumber, translationNumbers } from "./numbers.ts";

interface Known {
  readonly cookie: number;
  readonly nat: Exclude<Nat, null>;
  readonly number: number;
}

/** A connection or a flow. */
interface Ended {
  readonly key: number | string;
  readonly cookie: number;
}

/** The kinds of record that end a connection. To add one, add a row. */
export const ENDS: ReadonlySet<number> = new Set([EventKind.EVENT_CLOSE, EventKind.EVENT_FAIL]);

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
  #ended: Ended[] = [];
  readonly #numbers: typeof translationNumbers;

  constructor(numbers = translationNumbers) {
    this.#numbers = numbers;
  }

  set(event: Event, nat: Nat): void {
    const key = keyOf(event);
    const { cookie } = event;
    const others = this.#othersOf({ key, cookie });
    this.#known.delete(key);
    // Unknown is what is said of those that are not here.
    const all = nat === null ? others : [{ cookie, nat, number: this.#numberOf(nat) }, ...others];
    if (all.length > 0) this.#known.set(key, all.slice(0, MOST_OF_SOCK));
    if (this.#known.size > MOST) this.#forgetOldest();
  }

  of(event: Event): Nat {
    const told = this.#numbers.of(event);
    if (told !== null) return told;
    const all = this.#known.get(keyOf(event));
    return all?.find(({ cookie }) => cookie === event.cookie)?.nat ?? null;
  }

  /** Whether the record at `p` tells from here on what is known of it: it is plain, or has the number of its translation. */
  tells(view: DataView, p: number): boolean {
    if (this.#known.size === 0) return true;
    const metadata = view.getUint32(p + EVENT_ENDS_METADATA, true);
    if ((metadata & ConnMetadata.METADATA_TCP) === 0) return false;
    const key = sockAt(view, p);
    const cookie = view.getUint32(p + EVENT_COOKIE, true);
    const known = this.#known.get(key)?.find((one) => one.cookie === cookie);
    if (known === undefined) return true;
    if (known.nat === false) {
      // The kernel side saw it translated.
      if (view.getUint8(p + EVENT_LEGS) !== NO_NUMBER) return true;
      const flags = view.getUint32(p + EVENT_FLAGS, true);
      view.setUint32(p + EVENT_FLAGS, flags | ConnFact.FACT_PLAIN, true);
    } else if (!tellNumber(view, p, known.number)) return false;
    return true;
  }

  /** The record at `p` has been shown as it is. */
  passed(view: DataView, p: number): void {
    if (this.#known.size === 0 || !ENDS.has(kindAt(view, p))) return;
    this.#ended.push({ key: sockAt(view, p), cookie: view.getUint32(p + EVENT_COOKIE, true) });
  }

  /** The close of the connection is about to be shown. */
  ends(event: Event): void {
    this.#ended.push({ key: keyOf(event), cookie: event.cookie });
  }

  /** After the closes have been shown. */
  forgetEnded(): void {
    for (const ended of this.#ended) {
      const others = this.#othersOf(ended);
      if (others.length > 0) this.#known.set(ended.key, others);
      else this.#known.delete(ended.key);
    }
    this.#ended = [];
  }

  #numberOf(nat: Exclude<Nat, null>): number {
    return nat === false ? NO_NUMBER : this.#numbers.numberOf(nat);
  }

  #othersOf({ key, cookie }: Ended): readonly Known[] {
    const all = this.#known.get(key) ?? [];
    return all.filter((one) => one.cookie !== cookie);
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
