/**
 * Events as their bytes, one behind the other: 184 of them each, where the object takes a kilobyte. There can be one for each
 * of 65,536 flows. Pure.
 */
import {
  eventSize,
  EventView,
  readEvent,
  writeEvent,
  type Event,
} from "../../record/layout.gen.ts";

/** Events that there is room for at first. */
const FIRST = 64;

/** A place among the kept events. */
export type Slot = number & { readonly of: "KeptEvents" };

export class KeptEvents {
  #view = new DataView(new ArrayBuffer(FIRST * eventSize));
  readonly #free: Slot[] = [];
  /** Slots behind it have never been used. */
  #end = 0;

  keep(event: Event): Slot {
    const slot = this.#free.pop() ?? this.#next();
    writeEvent(this.#view, slot * eventSize, event);
    return slot;
  }

  get(slot: Slot): Event {
    return readEvent(this.#view, slot * eventSize);
  }

  /** Where it lies: good until the next `keep` or `drop`. */
  at(slot: Slot): EventView {
    return new EventView(this.#view, slot * eventSize);
  }

  /** The event is not asked for again. */
  drop(slot: Slot): void {
    this.#free.push(slot);
    if (this.size > 0) return;
    // A burst is over: what it took is given back.
    this.#free.length = 0;
    this.#end = 0;
    this.#view = new DataView(new ArrayBuffer(FIRST * eventSize));
  }

  /** Events that are kept. */
  get size(): number {
    return this.#end - this.#free.length;
  }

  #next(): Slot {
    if ((this.#end + 1) * eventSize > this.#view.byteLength) {
      const grown = new Uint8Array(2 * this.#view.byteLength);
      grown.set(new Uint8Array(this.#view.buffer));
      this.#view = new DataView(grown.buffer);
    }
    return this.#end++ as Slot;
  }
}
