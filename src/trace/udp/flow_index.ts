/**
 * The flows behind a socket's first, by the words of their events that name them, and what is known of each. A look at the kernel's map
 * meets 65,536 of them every few seconds: a text as the key of each, made for each look, is garbage of 60 MB a look. Pure.
 */
import { EVENT_COOKIE, EVENT_OWNER_PID, EVENT_SK, type Event } from "../../record/layout.gen.ts";
import { asView } from "../event.ts";
import type { KeptEvents, Slot } from "../kept_events.ts";

/** Chains at first; a power of two. */
const FIRST = 64;
const NONE = -1;

export class FlowIndex<T> {
  readonly #kept: Pick<KeptEvents, "at">;
  /** The first slot of each chain, and the next one behind each slot. */
  #chains = new Int32Array(FIRST).fill(NONE);
  #next = new Int32Array(FIRST).fill(NONE);
  #values: (T | undefined)[] = [];
  #size = 0;

  /** The events of the slots that are added. */
  constructor(kept: Pick<KeptEvents, "at">) {
    this.#kept = kept;
  }

  add(slot: Slot, value: T): void {
    if (++this.#size > this.#chains.length) this.#grow();
    while (slot >= this.#next.length) this.#next = longer(this.#next);
    this.#values[slot] = value;
    this.#link(slot);
  }

  /** Of the flow of this event; undefined: it was not added. */
  of(event: Event): T | undefined {
    const { view, p } = asView(event);
    let slot = this.#chains[this.#chainOf(view, p)]!;
    while (slot !== NONE) {
      const kept = this.#kept.at(slot as Slot);
      if (isSame(kept.view, kept.p, view, p)) return this.#values[slot];
      slot = this.#next[slot]!;
    }
    return undefined;
  }

  /** To be called while its event is still kept. */
  delete(slot: Slot): void {
    const { view, p } = this.#kept.at(slot);
    const chain = this.#chainOf(view, p);
    let at = this.#chains[chain]!;
    if (at === slot) this.#chains[chain] = this.#next[slot]!;
    else {
      while (at !== NONE && this.#next[at] !== slot) at = this.#next[at]!;
      if (at === NONE) return;
      this.#next[at] = this.#next[slot]!;
    }
    this.#values[slot] = undefined;
    if (--this.#size > 0) return;
    // A burst is over: what it took is given back.
    this.#chains = new Int32Array(FIRST).fill(NONE);
    this.#next = new Int32Array(FIRST).fill(NONE);
    this.#values = [];
  }

  get size(): number {
    return this.#size;
  }

  #chainOf(view: DataView, p: number): number {
    let hash = view.getUint32(p + EVENT_COOKIE, true);
    for (let at = EVENT_SK; at < ENDS_END; at += 4)
      hash = Math.imul(hash ^ view.getUint32(p + at, true), 0x9e3779b1);
    return ((hash >>> 16) ^ hash) & (this.#chains.length - 1);
  }

  #link(slot: number): void {
    const { view, p } = this.#kept.at(slot as Slot);
    const chain = this.#chainOf(view, p);
    this.#next[slot] = this.#chains[chain]!;
    this.#chains[chain] = slot;
  }

  #grow(): void {
    this.#chains = new Int32Array(2 * this.#chains.length).fill(NONE);
    for (const [slot, value] of this.#values.entries()) if (value !== undefined) this.#link(slot);
  }
}

// --- internal ---

/** sk, and the ends, which lie behind it. */
const ENDS_END = EVENT_OWNER_PID;

function isSame(a: DataView, p: number, b: DataView, q: number): boolean {
  for (let at = EVENT_SK; at < ENDS_END; at += 4)
    if (a.getUint32(p + at, true) !== b.getUint32(q + at, true)) return false;
  return a.getUint32(p + EVENT_COOKIE, true) === b.getUint32(q + EVENT_COOKIE, true);
}

function longer(of: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(2 * of.length).fill(NONE);
  grown.set(of);
  return grown;
}
