/**
 * The templates, each with all that its text depends on. A template is made of its key alone: of a copy of the record, or of
 * the event, in which everything else is overwritten. So no two lines can share text that differs. A key that is met once
 * has no template: a process that is heard once would pay for one and never use it.
 */
import type { ConnEvent, Totals } from "../../conn/event.ts";
import {
  EVENT_DIRECTION,
  EVENT_KIND,
  EVENT_OWNER_PID,
  eventPlaces,
  eventSize,
} from "../../record/layout.gen.ts";
import { attributeNames, type AttributeName } from "../../members/attributes.ts";
import { sameMembers, sameWords, type SameMembers, type SameWords } from "./compile.ts";
import { moment } from "./moment.ts";
import { apart } from "./slots.ts";
import type { Template } from "./template.ts";

/** `null`: what such an event holds cannot be written by a template. */
export type Shape = (event: ConnEvent) => Template | null;

/**
 * The event that the record at `p` of `view` tells. It must follow from the record alone, for as long as a second lasts: its
 * control group from its id, and no command line, no names.
 */
export type Describe = (view: DataView, p: number) => ConnEvent;

/** A power of two; what falls into the same slot takes its place. A few processes make most of the events. */
const SLOTS = 1024;

/** `undefined`: of a key that was met for the first time. */
type Made = Template | null | undefined;

export class RecordTemplates {
  readonly #shape: Shape;
  readonly #apart: readonly (keyof typeof eventPlaces)[];
  /** Where the words of a record lie of which some bit belongs to the key, and which bits. */
  readonly #words: Int32Array;
  readonly #masks: Int32Array;
  readonly #keys: Int32Array;
  readonly #same: SameWords;
  readonly #state = new Uint8Array(SLOTS);
  readonly #made: Made[] = Array.from({ length: SLOTS });
  readonly #copy = new DataView(new ArrayBuffer(eventSize));
  #describe: Describe | null = null;
  #second = -1;

  constructor(shape: Shape, notOfKey = apart) {
    this.#shape = shape;
    this.#apart = notOfKey;
    const masks = keyMasks(notOfKey);
    const some = [...masks.keys()].filter((n) => masks[n] !== 0);
    this.#words = Int32Array.from(some, (n) => n * 4);
    this.#masks = Int32Array.from(some, (n) => masks[n]!);
    this.#keys = new Int32Array(SLOTS * this.#words.length);
    this.#same = sameWords(this.#words, this.#masks);
  }

  of(view: DataView, p: number, describe: Describe): Made {
    // More may be known of a process by now.
    if (this.#describe !== describe || this.#second !== moment.seconds) {
      this.#state.fill(0);
      this.#describe = describe;
      this.#second = moment.seconds;
    }
    const pid = view.getInt32(p + EVENT_OWNER_PID, true);
    const mixed = pid * 4 + view.getUint8(p + EVENT_KIND) + view.getUint8(p + EVENT_DIRECTION) * 64;
    const slot = mixed & (SLOTS - 1);
    if (this.#state[slot] !== 0 && this.#same(this.#keys, slot * this.#words.length, view, p)) {
      if (this.#state[slot] === MADE) return this.#made[slot];
      this.#state[slot] = MADE;
      return (this.#made[slot] = this.#make(view, p, describe));
    }
    const from = slot * this.#words.length;
    for (let n = 0; n < this.#words.length; n++)
      this.#keys[from + n] = view.getInt32(p + this.#words[n]!, true) & this.#masks[n]!;
    this.#state[slot] = MET;
    return undefined;
  }

  #make(view: DataView, p: number, describe: Describe): Template | null {
    const bytes = new Uint8Array(this.#copy.buffer);
    bytes.set(new Uint8Array(view.buffer, view.byteOffset + p, eventSize));
    for (const name of this.#apart) {
      const [at, size] = eventPlaces[name];
      // Something that is known.
      bytes.fill(0, at, at + size).fill(1, at, at + 1);
    }
    return this.#shape(describe(this.#copy, 0));
  }
}

export class EventTemplates {
  readonly #shape: Shape;
  readonly #keys: (unknown[] | undefined)[] = Array.from({ length: SLOTS });
  readonly #made: Made[] = Array.from({ length: SLOTS });
  readonly #names: readonly (keyof Held)[];
  readonly #same: SameMembers;

  constructor(shape: Shape, names: readonly (keyof Held)[] = heldNames) {
    this.#shape = shape;
    this.#names = names;
    this.#same = sameMembers(names, NESTED);
  }

  of(event: ConnEvent): Made {
    // A connect, an accept and a close differ in length; so do the directions.
    const mixed = (event.pid ?? 0) * 4 + event.kind.length + event.direction.length * 64;
    const slot = mixed & (SLOTS - 1);
    const key = this.#keys[slot];
    if (key !== undefined && this.#isOf(key, event)) return (this.#made[slot] ??= this.#make(key));
    this.#keys[slot] = [...nestedOf(event), ...this.#names.map((name) => event[name])];
    this.#made[slot] = undefined;
    return undefined;
  }

  #isOf(key: readonly unknown[], event: ConnEvent): boolean {
    if (
      key[0] !== event.local.address ||
      key[1] !== event.local.name ||
      key[2] !== event.remote.name ||
      key[3] !== unknownTotals(event.totals)
    )
      return false;
    return this.#same(key, event);
  }

  #make(key: readonly unknown[]): Template | null {
    const [address, localName, remoteName, unknown] = key as ReturnType<typeof nestedOf>;
    const known = Object.fromEntries(this.#names.map((name, n) => [name, key[NESTED + n]]));
    return this.#shape({
      ...(known as Held),
      atNs: 1n,
      local: { address, port: 1, ...(localName === undefined ? {} : { name: localName }) },
      remote: {
        address: "::1",
        port: 1,
        ...(remoteName === undefined ? {} : { name: remoteName }),
      },
      ...(unknown < 0 ? {} : { totals: totalsWithout(unknown) }),
    });
  }
}

// --- internal ---

const [MET, MADE] = [1, 2];

/** The members of an event that belong to the key, without those that are objects. */
type Held = Omit<ConnEvent, "atNs" | "local" | "remote" | "totals">;

const held: Record<Exclude<keyof Held, AttributeName>, true> = {
  kind: true,
  protocol: true,
  pid: true,
  comm: true,
  family: true,
  direction: true,
  netns: true,
  user: true,
  cgroup: true,
  container: true,
  args: true,
  failure: true,
};
const heldNames: readonly (keyof Held)[] = [
  ...(Object.keys(held) as (keyof typeof held)[]),
  ...attributeNames,
];

const NESTED = 4;
const nestedOf = ({ local, remote, totals }: ConnEvent) =>
  [local.address, local.name, remote.name, unknownTotals(totals)] as const;

const totalNames: readonly (keyof Totals)[] = [
  "bytesSent",
  "bytesReceived",
  "segsOut",
  "segsIn",
  "rttUs",
  "rttVarUs",
  "retransmits",
  "durationNs",
];

/** A bit for each total that is not known; -1: there are none. */
function unknownTotals(totals: Totals | undefined): number {
  if (totals === undefined) return -1;
  let unknown = 0;
  for (let n = 0; n < totalNames.length; n++)
    if (totals[totalNames[n]!] === null) unknown |= 1 << n;
  return unknown;
}

const totalsWithout = (unknown: number): Totals =>
  Object.fromEntries(
    totalNames.map((name, n) => [name, (unknown & (1 << n)) === 0 ? 1n : null]),
  ) as unknown as Totals;

/** The bits of each word of a struct event that belong to the key. */
function keyMasks(notOfKey: readonly (keyof typeof eventPlaces)[]): Int32Array {
  const bytes = new Uint8Array(eventSize);
  for (const [name, [at, size]] of Object.entries(eventPlaces))
    if (!notOfKey.includes(name as keyof typeof eventPlaces)) bytes.fill(0xff, at, at + size);
  return new Int32Array(bytes.buffer);
}
