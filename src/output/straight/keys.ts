/**
 * The templates, each with all that its text depends on. A template is made of its key alone: of a copy of the record, or of
 * the event, in which everything else is overwritten. So no two lines can share text that differs. On a host where many keys
 * are new, one that is met once has no template: a process that is heard once would pay for one and never use it.
 */
import { isDeepStrictEqual } from "node:util";
import type { ConnEvent } from "../../conn/event.ts";
import { translationOf } from "../../conn/nat.ts";
import {
  ConnFact,
  EVENT_DIRECTION,
  EVENT_ENDPOINT_SPEAKS,
  EVENT_FLAGS,
  EVENT_KIND,
  EVENT_OWNER_PID,
  eventPlaces,
  eventSize,
  LineKey,
} from "../../record/layout.gen.ts";
import { held, leaves, partsOf, slotOf, type Form, type Leaf } from "../../members/held.ts";
import { eventKey, sameWords, type EventKey, type Place, type SameWords } from "./compile.ts";
import { moment } from "./moment.ts";
import { apart, isSince, varying } from "./slots.ts";
import type { Template } from "./template.ts";

/** `null`: what such an event holds cannot be written by a template. */
export type Shape = (event: ConnEvent) => Template | null;

/**
 * The event that the record at `p` of `view` tells. It must follow from the record alone, for as long as a second lasts: its
 * control group from its id, and no command line, no names.
 */
export type Describe = (view: DataView, p: number) => ConnEvent;

/** A key that falls into the same slot takes its place. A few processes make most of the events. */
const SLOTS = LineKey.LINE_KEY_SLOTS;

/** The keys of the slots, one behind the other, and the state of each: see struct line_keys. */
export interface KeyTable {
  /** Where the words of a record lie of which some bit belongs to the key. */
  readonly places: Int32Array;
  /** The bits of each. */
  readonly masks: Int32Array;
  readonly keys: Int32Array;
  readonly states: Uint8Array;
}

/** So many keys of a second have a template at once: a runtime that has compiled nothing makes it as soon as a line of an event. */
const AT_ONCE = 16;

/** `undefined`: of a key that was met for the first time. */
type Made = Template | null | undefined;

export class RecordTemplates {
  readonly #shape: Shape;
  readonly #apart: readonly (keyof typeof eventPlaces)[];
  readonly #words: Int32Array;
  readonly #masks: Int32Array;
  readonly #keys: Int32Array;
  readonly #same: SameWords;
  readonly #state = new Uint8Array(new ArrayBuffer(SLOTS));
  readonly #made: Made[] = Array.from({ length: SLOTS });
  /** The event of which the template of each slot was made, perhaps in an earlier second; `undefined`: it has none. */
  readonly #events: (ConnEvent | undefined)[] = Array.from({ length: SLOTS });
  #atOnce = 0;
  readonly #copy = new DataView(new ArrayBuffer(eventSize));
  #describe: Describe | null = null;
  #second = -1;
  #slot = 0;

  constructor(shape: Shape, notOfKey = apart) {
    this.#shape = shape;
    this.#apart = notOfKey;
    const masks = keyMasks(notOfKey);
    const some = [...masks.keys()].filter((n) => masks[n] !== 0);
    this.#words = heldWords(some.length);
    this.#words.set(some.map((n) => n * 4));
    this.#masks = heldWords(some.length);
    this.#masks.set(some.map((n) => masks[n]!));
    this.#keys = heldWords(SLOTS * some.length);
    this.#same = sameWords(this.#words, this.#masks);
  }

  /** For those who look a key up elsewhere. */
  get table(): KeyTable {
    return { places: this.#words, masks: this.#masks, keys: this.#keys, states: this.#state };
  }

  /** That of the record for which `of` was called last. */
  get slot(): number {
    return this.#slot;
  }

  /** Whether what is kept is right for records of the second that is entered. */
  isCurrent(describe: Describe): boolean {
    return this.#describe === describe && this.#second === moment.seconds;
  }

  of(view: DataView, p: number, describe: Describe): Made {
    // More may be known of a process by now.
    if (!this.isCurrent(describe)) {
      this.#state.fill(0);
      this.#describe = describe;
      this.#second = moment.seconds;
      this.#atOnce = 0;
    }
    const pid = view.getInt32(p + EVENT_OWNER_PID, true);
    const mixed = pid * 4 + view.getUint8(p + EVENT_KIND) + view.getUint8(p + EVENT_DIRECTION) * 64;
    const slot = (mixed + spokenOf(view, p)) & (SLOTS - 1);
    this.#slot = slot;
    const from = slot * this.#words.length;
    const isHeld = this.#state[slot] !== 0 || this.#events[slot] !== undefined;
    if (isHeld && this.#same(this.#keys, from, view, p)) {
      if (this.#state[slot] === MADE) return this.#made[slot];
      return this.#make(slot, view, p, describe);
    }
    for (let n = 0; n < this.#words.length; n++)
      this.#keys[from + n] = view.getInt32(p + this.#words[n]!, true) & this.#masks[n]!;
    this.#events[slot] = undefined;
    if (this.#atOnce < AT_ONCE) {
      this.#atOnce++;
      return this.#make(slot, view, p, describe);
    }
    this.#state[slot] = MET;
    return undefined;
  }

  /** Mostly nothing more is known by now, and the template of an earlier second is still right. */
  #make(slot: number, view: DataView, p: number, describe: Describe): Made {
    const event = this.#sampleOf(view, p, describe);
    const known = this.#events[slot];
    this.#state[slot] = MADE;
    if (known !== undefined && isDeepStrictEqual(known, event)) return this.#made[slot];
    this.#events[slot] = event;
    return (this.#made[slot] = hasTls(event) ? null : this.#shape(event));
  }

  /** The event, with samples of what varies. */
  #sampleOf(view: DataView, p: number, describe: Describe): ConnEvent {
    const bytes = new Uint8Array(this.#copy.buffer);
    bytes.set(new Uint8Array(view.buffer, view.byteOffset + p, eventSize));
    for (const name of this.#apart) {
      const [at, size] = eventPlaces[name];
      // Something that is known: also the time between two moments.
      bytes.fill(0, at, at + size).fill(isSince(at) ? 0 : 1, at, at + 1);
    }
    return describe(this.#copy, 0);
  }
}

export class EventTemplates {
  readonly #shape: Shape;
  readonly #keys: (unknown[] | undefined)[] = Array.from({ length: SLOTS });
  readonly #made: Made[] = Array.from({ length: SLOTS });
  readonly #values: readonly Place[];
  readonly #unknown: ReadonlyMap<string, readonly string[]>;
  readonly #key: EventKey;

  constructor(shape: Shape, ofKey: readonly Leaf[] = leaves) {
    this.#shape = shape;
    this.#values = ofKey.filter((leaf) => !varying.has(leaf)).map(partsOf);
    this.#unknown = unknownOf(ofKey);
    this.#key = eventKey(this.#values, this.#unknown);
  }

  of(event: ConnEvent): Made {
    if (!isUniform(event)) return null;
    const slot = slotOf(event) & (SLOTS - 1);
    const key = this.#keys[slot];
    if (key !== undefined && this.#key.same(key, event)) {
      const made = this.#made[slot];
      return made === undefined ? (this.#made[slot] = this.#make(key)) : made;
    }
    this.#keys[slot] = this.#key.read(event);
    this.#made[slot] = undefined;
    return undefined;
  }

  /** Of an event that holds what the key holds, and samples of what varies. */
  #make(key: readonly unknown[]): Template | null {
    const event: Record<string, Record<string, unknown>> = structuredClone(samples);
    for (const [n, { outer, inner }] of this.#values.entries())
      if (key[n] !== undefined) (outer === "" ? event : event[outer]!)[inner] = key[n] as never;
    const numbers = key.slice(this.#values.length) as number[];
    for (const [n, [outer, inners]] of [...this.#unknown].entries()) {
      if (numbers[n] === -1) delete event[outer];
      else
        for (const [bit, inner] of inners.entries())
          if ((numbers[n]! & (1 << bit)) !== 0)
            (outer === "" ? event : event[outer]!)[inner] = null as never;
    }
    return this.#shape(event as unknown as ConnEvent);
  }
}

// --- internal ---

const { LINE_KEY_MET: MET, LINE_KEY_MADE: MADE } = LineKey;

/**
 * Of one server's connections some tell what was seen of themselves, and others what their server is known for: in one slot, each
 * of them would take the place of the other one's template.
 */
const spokenOf = (view: DataView, p: number): number =>
  view.getUint8(p + EVENT_ENDPOINT_SPEAKS) * 16 +
  ((view.getUint32(p + EVENT_FLAGS, true) & ConnFact.FACT_SEEN) === 0 ? 0 : 8);

/** In a buffer of their own, which stays at its address. */
const heldWords = (count: number): Int32Array => new Int32Array(new ArrayBuffer(4 * count));

/** The names in TLS differ from line to line, and there is no hole for them. */
const hasTls = ({ tls }: ConnEvent): boolean => (tls ?? null) !== null;

/**
 * So do the ends of a translation, but for one that many connections have in common: it is one object for all of them, and
 * frozen. A record tells its translation by a number, which is part of the key.
 */
const isUniform = (event: ConnEvent): boolean =>
  !hasTls(event) && (translationOf(event) === null || Object.isFrozen(event.nat));

/** By object, the values that vary and that may be unknown. */
function unknownOf(ofKey: readonly Leaf[]): ReadonlyMap<string, readonly string[]> {
  const parts = ofKey.filter((leaf) => varying.has(leaf) && held[leaf].orNull).map(partsOf);
  return new Map(
    Map.groupBy(parts, ({ outer }) => outer)
      .entries()
      .map(([outer, of]) => [outer, of.map(({ inner }) => inner)]),
  );
}

/** Stand for any value of those that vary. */
const sampleOf: Readonly<Record<Form["form"], unknown>> = {
  text: "",
  id: "",
  address: "::1",
  oneOf: "",
  integer: 1,
  integer64: 1n,
  translation: false,
  application: null,
  tls: null,
  dns: null,
  quic: null,
};
const samples: Record<string, Record<string, unknown>> = {};
for (const leaf of varying) {
  const { outer, inner } = partsOf(leaf);
  const of = outer === "" ? samples : (samples[outer] ??= {});
  of[inner] = sampleOf[held[leaf].as.form] as never;
}

/** The bits of each word of a struct event that belong to the key. */
function keyMasks(notOfKey: readonly (keyof typeof eventPlaces)[]): Int32Array {
  const bytes = new Uint8Array(eventSize);
  for (const [name, [at, size]] of Object.entries(eventPlaces))
    if (!notOfKey.includes(name as keyof typeof eventPlaces)) bytes.fill(0xff, at, at + size);
  return new Int32Array(bytes.buffer);
}
