/**
 * How the ends of connections and flows are translated, from the moment at which that is known to their end. A record's flags
 * say that it is plain, or translated; how it is translated is kept here. Pure.
 */
import type { Endpoint, EventKind as ShownKind, Translation } from "../../conn/event.ts";
import {
  ConnFact,
  EVENT_COOKIE,
  EVENT_ENDS_METADATA,
  EVENT_FLAGS,
  EVENT_OWNER_PID,
  EVENT_SK,
  EventKind,
  translationPlaces,
  type Event,
} from "../../record/layout.gen.ts";
import { addressAt, asView, isLast, kindAt } from "../event.ts";
import { NO_NUMBER, numberAt, tellNumber, TranslationNumbers } from "./numbers.ts";

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
  readonly #numbers: TranslationNumbers;
  #ended: string[] = [];

  /** At most so many are kept. */
  constructor(most = MOST, numbers = new TranslationNumbers()) {
    this.#most = most;
    this.#numbers = numbers;
  }

  /** The record at `p`, of the kind EVENT_TRANSLATION. Beyond all translations too, this end is the source. */
  set(view: DataView, p: number): void {
    const key = keyAt(view, p);
    this.#known.delete(key);
    const nat = translationAt(view, p);
    this.#known.set(key, { nat, number: nat === false ? NO_NUMBER : this.#numbers.numberOf(nat) });
    if (this.#known.size > this.#most) this.#known.delete(this.#known.keys().next().value!);
  }

  /** To be called once for each event that is shown: the last one of a connection or a flow ends what is known of it. */
  of(event: Event, kind: ShownKind): Nat {
    if ((event.flags & ConnFact.FACT_PLAIN) !== 0) return false;
    const told = this.#numbers.of(event);
    if (this.#known.size === 0) return told;
    const key = keyOf(event);
    const known = told ?? this.#known.get(key)?.nat ?? null;
    // A flow of UDP goes on.
    if (kind === "close" || event.kind === EventKind.EVENT_FAIL) this.#known.delete(key);
    return known;
  }

  /**
   * Whether the record at `p` tells from here on what `of` would: it is plain, or has the number of its translation. It may
   * still be kept for later.
   */
  tells(view: DataView, p: number): boolean {
    const flags = view.getUint32(p + EVENT_FLAGS, true);
    if ((flags & ConnFact.FACT_PLAIN) !== 0 || this.#known.size === 0) return true;
    const known = this.#known.get(keyAt(view, p));
    return known === undefined || tellNumber(view, p, known.number);
  }

  /** The record at `p` has been shown as it is. The last one of a connection ends what is known of it, after its poll. */
  passed(view: DataView, p: number): void {
    if (numberAt(view, p) !== NO_NUMBER && isLast(kindAt(view, p)))
      this.#ended.push(keyAt(view, p));
  }

  /** After the records of a poll. */
  forgetEnded(): void {
    for (const key of this.#ended) this.#known.delete(key);
    this.#ended = [];
  }
}

// --- internal ---

/** Where an end lies in a record, as the socket has it and as it is beyond. */
interface Places {
  socket: { address: number; port: number };
  beyond: { address: number; port: number };
}

const at = (name: keyof typeof translationPlaces): number => translationPlaces[name][0];
const LOCAL: Places = {
  socket: { address: at("ends_saddr_h"), port: at("ends_sport") },
  beyond: { address: at("beyond_saddr_h"), port: at("beyond_sport") },
};
const REMOTE: Places = {
  socket: { address: at("ends_daddr_h"), port: at("ends_dport") },
  beyond: { address: at("beyond_daddr_h"), port: at("beyond_dport") },
};
const BEYOND_METADATA = at("beyond_metadata");

/** If both ends are as the socket has them, nothing is translated. */
function translationAt(view: DataView, p: number): Translation | false {
  const local = endBeyond(view, p, LOCAL);
  const remote = endBeyond(view, p, REMOTE);
  return local === null && remote === null ? false : { local, remote };
}

/** `null`: the end is as the socket has it. */
function endBeyond(view: DataView, p: number, { socket, beyond }: Places): Endpoint | null {
  const metadata = (place: number) => view.getUint32(p + place, true);
  const { address } = addressAt(view, p + beyond.address, metadata(BEYOND_METADATA));
  const port = view.getUint16(p + beyond.port, true);
  const isSame =
    port === view.getUint16(p + socket.port, true) &&
    address === addressAt(view, p + socket.address, metadata(EVENT_ENDS_METADATA)).address;
  return isSame ? null : { address, port };
}

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
