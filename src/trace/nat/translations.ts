/**
 * How the ends of connections and flows are translated, from the moment at which that is known to their end. A record's flags
 * say that it is plain, or translated; how it is translated is kept here. Pure.
 */
import type { Endpoint, EventKind as ShownKind, Translation } from "../../conn/event.ts";
import {
  ConnFact,
  ConnMetadata,
  EVENT_COOKIE,
  EVENT_FLAGS,
  EVENT_OWNER_PID,
  EVENT_SK,
  translationPlaces,
  type Event,
} from "../../record/layout.gen.ts";
import { addressAt, asView, isLast, kindAt } from "../event.ts";
import { NO_NUMBER, numberAt, tellNumber, TranslationNumbers } from "./numbers.ts";
import { hashOf, isSame } from "./words.ts";

/** Connections that are filtered out have no end that removes their entry: the oldest entries go first. */
const MOST = 65_536;

interface Known {
  /** Words that say of which connection or flow it is: see readIdentity(). */
  readonly of: Int32Array;
  readonly nat: Translation | false;
  readonly number: number;
}

/** `null`: not known. */
export type Nat = Translation | false | null;

export class Translations {
  readonly #most: number;
  /** By a hash. Another one with the same hash takes the place of one whose translation is not known from then on. */
  readonly #known = new Map<number, Known>();
  readonly #numbers: TranslationNumbers;
  /** Of translations that have a number. */
  readonly #common: (Common | undefined)[] = Array.from({ length: COMMON_SLOTS });
  #ended: number[] = [];

  /** At most so many are kept. */
  constructor(most = MOST, numbers = new TranslationNumbers()) {
    this.#most = most;
    this.#numbers = numbers;
  }

  /** The record at `p`, of the kind EVENT_TRANSLATION. Beyond all translations too, this end is the source. */
  set(view: DataView, p: number): void {
    const { nat, number } = this.#translationAt(view, p);
    const key = readIdentity(view, p);
    this.#known.delete(key);
    this.#known.set(key, { of: identity.slice(), nat, number });
    if (this.#known.size > this.#most) this.#known.delete(this.#known.keys().next().value!);
  }

  /** To be called once for each event that is shown: the last one of a connection or a flow ends what is known of it. */
  of(event: Event, kind: ShownKind): Nat {
    if ((event.flags & ConnFact.FACT_PLAIN) !== 0) return false;
    const told = this.#numbers.of(event);
    if (this.#known.size === 0) return told;
    const { view, p } = asView(event);
    const key = readIdentity(view, p);
    const known = this.#knownOf(key);
    if (known !== undefined && (kind === "close" || kind === "fail")) this.#known.delete(key);
    return told ?? known?.nat ?? null;
  }

  /** Whether nothing is known that a record does not tell by itself. */
  get areNone(): boolean {
    return this.#known.size === 0;
  }

  /**
   * Whether the record at `p` tells from here on what `of` would: it is plain, or has the number of its translation. It may
   * still be kept for later.
   */
  tells(view: DataView, p: number): boolean {
    const flags = view.getUint32(p + EVENT_FLAGS, true);
    if ((flags & ConnFact.FACT_PLAIN) !== 0 || this.#known.size === 0) return true;
    const known = this.#knownOf(readIdentity(view, p));
    return known === undefined || tellNumber(view, p, known.number);
  }

  /** The record at `p` has been shown as it is. The last one of a connection ends what is known of it, after its poll. */
  passed(view: DataView, p: number): void {
    if (numberAt(view, p) === NO_NUMBER || !isLast(kindAt(view, p))) return;
    const key = readIdentity(view, p);
    if (this.#knownOf(key) !== undefined) this.#ended.push(key);
  }

  /** After the records of a poll. */
  forgetEnded(): void {
    for (const key of this.#ended) this.#known.delete(key);
    this.#ended = [];
  }

  /** Of the connection or the flow whose identity was read last. */
  #knownOf(key: number): Known | undefined {
    const known = this.#known.get(key);
    return known !== undefined && isSame(known.of, identity) ? known : undefined;
  }

  /** If both ends are as the socket has them, nothing is translated. Texts take most of the time: common translations have theirs. */
  #translationAt(view: DataView, p: number): Pick<Known, "nat" | "number"> {
    const isLocal = differs(view, p, LOCAL);
    const isRemote = differs(view, p, REMOTE);
    if (!isLocal && !isRemote) return { nat: false, number: NO_NUMBER };
    readBeyond(view, p, isLocal, isRemote);
    const slot = hashOf(beyond) & (COMMON_SLOTS - 1);
    const common = this.#common[slot];
    if (common !== undefined && isSame(common.beyond, beyond)) return common;
    const nat = {
      local: isLocal ? endBeyond(view, p, LOCAL) : null,
      remote: isRemote ? endBeyond(view, p, REMOTE) : null,
    };
    const number = this.#numbers.numberOf(nat);
    const shared = this.#numbers.translation(number);
    if (shared === undefined) return { nat, number };
    this.#common[slot] = { nat: shared, number, beyond: beyond.slice() };
    return this.#common[slot];
  }
}

// --- internal ---

const at = (name: keyof typeof translationPlaces): number => translationPlaces[name][0];

/** Where an address and its port lie in a record, as the socket has them and as they are beyond. */
interface Places {
  address: number;
  port: number;
  addressBeyond: number;
  portBeyond: number;
}

const LOCAL: Places = {
  address: at("ends_saddr_h"),
  port: at("ends_sport"),
  addressBeyond: at("beyond_saddr_h"),
  portBeyond: at("beyond_sport"),
};
const REMOTE: Places = {
  address: at("ends_daddr_h"),
  port: at("ends_dport"),
  addressBeyond: at("beyond_daddr_h"),
  portBeyond: at("beyond_dport"),
};
const BEYOND_METADATA = at("beyond_metadata");
const ADDRESS_BYTES = 16;

/** Whether an end is not as the socket has it. */
function differs(view: DataView, p: number, of: Places): boolean {
  if (view.getUint16(p + of.port, true) !== view.getUint16(p + of.portBeyond, true)) return true;
  for (let n = 0; n < ADDRESS_BYTES; n += 4)
    if (view.getInt32(p + of.address + n) !== view.getInt32(p + of.addressBeyond + n)) return true;
  return false;
}

function endBeyond(view: DataView, p: number, { addressBeyond, portBeyond }: Places): Endpoint {
  const metadata = view.getUint32(p + BEYOND_METADATA, true);
  const { address } = addressAt(view, p + addressBeyond, metadata);
  return { address, port: view.getUint16(p + portBeyond, true) };
}

/** A translation that has a number, and what it is made of. */
interface Common {
  readonly nat: Translation;
  readonly number: number;
  readonly beyond: Int32Array;
}

/** A power of two; what falls into the same slot takes its place. */
const COMMON_SLOTS = 256;

/** Words that a translation is made of: the family, then each end's port and address, or zeros where it is the socket's. */
const beyond = new Int32Array(1 + 2 * (ADDRESS_BYTES / 4 + 1));

function readBeyond(view: DataView, p: number, isLocal: boolean, isRemote: boolean): void {
  beyond.fill(0);
  beyond[0] = view.getUint32(p + BEYOND_METADATA, true) & ConnMetadata.METADATA_IPV6;
  if (isLocal) readEnd(view, p, LOCAL, 1);
  if (isRemote) readEnd(view, p, REMOTE, 2 + ADDRESS_BYTES / 4);
}

/** The port goes first, with a bit more: an end that is there is never all zeros. */
function readEnd(view: DataView, p: number, of: Places, to: number): void {
  beyond[to] = view.getUint16(p + of.portBeyond, true) | (1 << 16);
  for (let n = 0; n < ADDRESS_BYTES / 4; n++)
    beyond[to + 1 + n] = view.getInt32(p + of.addressBeyond + 4 * n, true);
}

/** sk and the ends, which lie behind it, and the cookie: a sock of UDP has a flow for each of its remote ends. */
const END_WORDS = (EVENT_OWNER_PID - EVENT_SK) / 4;
const identity = new Int32Array(END_WORDS + 1);

/** Reads which connection or flow the record at `p` is of. Returns a hash of that. */
function readIdentity(view: DataView, p: number): number {
  for (let n = 0; n < END_WORDS; n++) identity[n] = view.getInt32(p + EVENT_SK + 4 * n, true);
  identity[END_WORDS] = view.getInt32(p + EVENT_COOKIE, true);
  return hashOf(identity);
}
