/**
 * How the ends of connections and flows are translated, from the moment at which that is known to their end. A record's flags
 * say that it is plain, or translated; how it is translated is kept here. Pure.
 */
import type { Endpoint, EventKind as ShownKind, Translation } from "../../conn/event.ts";
import { addressOfWords } from "../../record/address.ts";
import {
  ConnFact,
  ConnMetadata,
  EVENT_COOKIE,
  EVENT_FLAGS,
  EVENT_OWNER_PID,
  EVENT_SK,
  type Ends,
  type Event,
  type Translation as Record,
} from "../../record/layout.gen.ts";
import { asView, kindAt } from "../event.ts";
import { ENDS } from "./ask_known.ts";
import { NO_NUMBER, tellNumber, translationNumbers } from "./numbers.ts";

/** Connections that are filtered out have no end that removes their entry: the oldest entries go first. */
const MOST = 65_536;

interface Known {
  readonly nat: Translation | false;
  readonly number: number;
}

/** `null`: not known. */
export type Nat = Translation | false | null;

export class Translations {
  readonly #most: number;
  readonly #known = new Map<string, Known>();
  readonly #numbers: typeof translationNumbers;

  /** At most so many are kept. */
  constructor(most = MOST, numbers = translationNumbers) {
    this.#most = most;
    this.#numbers = numbers;
  }

  /** The ends beyond all translations: this end is the source. */
  set(event: Event, beyond: Ends): void {
    const key = keyOf(event);
    this.#known.delete(key);
    const nat = translationOf(event.ends, beyond);
    this.#known.set(key, { nat, number: nat === false ? NO_NUMBER : this.#numbers.numberOf(nat) });
    if (this.#known.size > this.#most) this.#known.delete(this.#known.keys().next().value!);
  }

  /** To be called once for each event that is shown: the last one of a connection or a flow ends what is known of it. */
  of(event: Event, kind: ShownKind): Nat {
    if ((event.flags & ConnFact.FACT_PLAIN) !== 0) return false;
    const told = this.#numbers.of(event);
    if (told !== null || this.#known.size === 0) return told;
    const key = keyOf(event);
    const known = this.#known.get(key)?.nat ?? null;
    if (kind === "close" || kind === "fail") this.#known.delete(key);
    return known;
  }

  /**
   * Whether the record at `p` tells from here on what `of` would: it is plain, or has the number of its translation. The
   * last one of a connection ends what is known of it.
   */
  tells(view: DataView, p: number): boolean {
    const flags = view.getUint32(p + EVENT_FLAGS, true);
    if ((flags & ConnFact.FACT_PLAIN) !== 0 || this.#known.size === 0) return true;
    const key = keyAt(view, p);
    const known = this.#known.get(key);
    if (known === undefined) return true;
    if (!tellNumber(view, p, known.number)) return false;
    if (ENDS.has(kindAt(view, p))) this.#known.delete(key);
    return true;
  }
}

/** Of a record of the kind EVENT_TRANSLATION. */
export const beyondOf = (record: Record): Ends => ({
  saddr_h: record.beyond_saddr_h,
  saddr_l: record.beyond_saddr_l,
  daddr_h: record.beyond_daddr_h,
  daddr_l: record.beyond_daddr_l,
  sport: record.beyond_sport,
  dport: record.beyond_dport,
  metadata: record.beyond_metadata,
});

// --- internal ---

/** An end that is as the socket has it is `null`; if both are, nothing is translated. */
function translationOf(ends: Ends, beyond: Ends): Translation | false {
  const local = end(beyond.saddr_h, beyond.saddr_l, beyond.sport, beyond.metadata);
  const remote = end(beyond.daddr_h, beyond.daddr_l, beyond.dport, beyond.metadata);
  const { metadata } = ends;
  const known = {
    local: sameAs(local, end(ends.saddr_h, ends.saddr_l, ends.sport, metadata)) ? null : local,
    remote: sameAs(remote, end(ends.daddr_h, ends.daddr_l, ends.dport, metadata)) ? null : remote,
  };
  return known.local === null && known.remote === null ? false : known;
}

function end(high: bigint, low: bigint, port: number, metadata: number): Endpoint {
  const family = (metadata & ConnMetadata.METADATA_IPV6) !== 0 ? 6 : 4;
  return { address: addressOfWords(high, low, family).address, port };
}

const sameAs = (a: Endpoint, b: Endpoint): boolean => a.address === b.address && a.port === b.port;

/** sk and the ends, which lie behind it, and the cookie: a sock of UDP has a flow for each of its remote ends. */
const ENDS_AT = EVENT_SK;
const ENDS_BYTES = EVENT_OWNER_PID - EVENT_SK;
const keyBytes = Buffer.alloc(ENDS_BYTES + 4);

function keyAt(view: DataView, p: number): string {
  keyBytes.set(new Uint8Array(view.buffer, view.byteOffset + p + ENDS_AT, ENDS_BYTES));
  keyBytes.writeUInt32LE(view.getUint32(p + EVENT_COOKIE, true), ENDS_BYTES);
  return keyBytes.toString("latin1");
}

function keyOf(event: Event): string {
  const { view, p } = asView(event);
  return keyAt(view, p);
}
