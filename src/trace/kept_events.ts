/**
 * Events as their bytes, one behind the other: 184 of them each, where the object takes a kilobyte. There can be one for each
 * of 65,536 flows, and for each connection older than the trace. Pure.
 */
import { eventSize, EventView, readEvent, writeEvent, type Event } from "../record/layout.gen.ts";

/**
 * Events of one piece; a power of two. Room for all of them that doubles has twice what it needs, and garbage of the same size
 * behind it.
 */
const PIECE_BITS = 10;
const PIECE = 1 << PIECE_BITS;

/** A place among the kept events. */
export type Slot = number & { readonly of: "KeptEvents" };

export class KeptEvents {
  readonly #pieces: DataView[] = [];
  readonly #free: Slot[] = [];
  /** Slots behind it have never been used. */
  #end = 0;

  keep(event: Event): Slot {
    const slot = this.#free.pop() ?? this.#next();
    writeEvent(this.#pieceOf(slot), placeOf(slot), event);
    return slot;
  }

  get(slot: Slot): Event {
    return readEvent(this.#pieceOf(slot), placeOf(slot));
  }

  /** Where it lies: good until the next `keep` or `drop`. */
  at(slot: Slot): EventView {
    return new EventView(this.#pieceOf(slot), placeOf(slot));
  }

  /** The event is not asked for again. */
  drop(slot: Slot): void {
    this.#free.push(slot);
    if (this.size > 0) return;
    // A burst is over: what it took is given back.
    this.#free.length = 0;
    this.#end = 0;
    this.#pieces.length = 1;
  }

  /** Events that are kept. */
  get size(): number {
    return this.#end - this.#free.length;
  }

  #next(): Slot {
    if (this.#end === this.#pieces.length * PIECE)
      this.#pieces.push(new DataView(new ArrayBuffer(PIECE * eventSize)));
    return this.#end++ as Slot;
  }

  #pieceOf(slot: Slot): DataView {
    return this.#pieces[slot >> PIECE_BITS]!;
  }
}

// --- internal ---

const placeOf = (slot: Slot): number => (slot & (PIECE - 1)) * eventSize;
