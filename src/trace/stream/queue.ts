/**
 * Events between their drain and their turn, as bytes: thousands a second pass through, and none of them becomes an object
 * for that. Pure.
 */
import { RecordError } from "../../record/error.ts";
import {
  eventSize,
  EventView,
  OrderAnswer,
  readEvent,
  ringPrefixSize,
  writeEvent,
  type Event,
} from "../../record/layout.gen.ts";
import { timeAt } from "../event.ts";

/** Of the buffer that a drain fills with records, each behind a struct ring_prefix, which begins with the size. */
const FIRST_BYTES = 1 << 20;
/** A buffer that a burst has made larger is given back. */
const KEPT_BYTES = 4 << 20;

/** An event takes some microseconds, and 150 before the JIT has compiled its way: a clock that is asked after so many is not asked too often. */
const ASKED_EVERY = 16;

/**
 * Where none of several events is taken, they are tried again after so many at most: at first after that one. An odd number: the
 * events of connections that follow one another take turns, and not always the same one is to be tried.
 */
const TRIED_EVERY = 15;

/** An event lies at `p` of `view`, and only for the time of the call. */
export type Each = (view: DataView, p: number) => void;

/** Several events lie at `from` to `to` of `places`. Returns how many of the first of them were taken. */
export type Several = (view: DataView, places: Int32Array, from: number, to: number) => number;

/** See Shim.order. */
export interface Ordering {
  addressOf(bytes: ArrayBufferView): number;
  order(drained: number, used: number, places: number, times: number, room: number): number;
}

export class EventQueue {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_BYTES);
  /** Of `#bytes`, or of a buffer before it: a view for each event costs more than the event. */
  #view = viewOf(this.#bytes);
  #spare: Uint8Array<ArrayBuffer> | null = null;
  #used = 0;
  readonly #index: Index;
  #turn: Turn | null = null;

  /** `ordering`: puts events in order faster, above all before the runtime has compiled anything. */
  constructor(ordering: Ordering | null = null) {
    this.#index = new Index(ordering);
  }

  get empty(): boolean {
    return this.#used === 0 && this.#turn === null;
  }

  /** Where a drain may write at least `least` bytes; `filled` says how many it has written. */
  room(least: number): Uint8Array {
    if (this.#bytes.length - this.#used < least) {
      const larger = new Uint8Array(2 * (this.#used + least));
      larger.set(this.#bytes.subarray(0, this.#used));
      this.#bytes = larger;
    }
    return this.#bytes.subarray(this.#used);
  }

  filled(bytes: number): void {
    this.#used += bytes;
  }

  /** One that does not come from a drain, or is kept for later. */
  push(event: Event): void {
    if (event instanceof EventView) {
      const { buffer, byteOffset } = event.view;
      return this.#keep(new Uint8Array(buffer, byteOffset + event.p, eventSize));
    }
    const at = this.#next();
    this.#bytes.fill(0, at, at + eventSize);
    writeEvent(this.#view, at, event);
  }

  /** Gives each event that waits for a `take` to `each`, in the order of time. Throws as `take` does. */
  look(each: Each): void {
    const view = viewOf(this.#bytes);
    this.#index.fill(view, this.#used);
    for (let n = 0; n < this.#index.count; n++) each(view, this.#index.at(n));
  }

  /** Takes out each event that is asked for, in the order of time; not of those of a `take` that is under way. Throws as it does. */
  extract(asked: (view: DataView, p: number) => boolean): Event[] {
    const bytes = this.#bytes;
    const view = viewOf(bytes);
    const index = new Index();
    index.fill(view, this.#used);
    this.#bytes = new Uint8Array(Math.max(FIRST_BYTES, this.#used));
    this.#used = 0;
    const extracted: Event[] = [];
    for (let n = 0; n < index.count; n++) {
      const at = index.at(n);
      if (asked(view, at)) extracted.push(readEvent(view, at));
      else this.#keep(bytes.subarray(at, at + eventSize));
    }
    return extracted;
  }

  /** Whether a `take` had enough and left some events to the next one. */
  get underWay(): boolean {
    return this.#turn !== null;
  }

  /**
   * Gives each event that is no younger than `until` (ns, as a number) to `each`, in the order of time, those of equal time
   * as they came; the others stay. Events that are added meanwhile wait. `enough` is asked now and then; `false` says that it
   * had enough, and that the next call goes on, whatever its `until`. Throws a RecordError when a record reaches beyond
   * what was filled. `several` gets what is due before `each` does.
   */
  take(until: number, each: Each, enough?: () => boolean, several?: Several): boolean {
    const turn = (this.#turn ??= this.#begin(until));
    if (turn === null) return true;
    const { view, ready } = turn;
    const index = this.#index;
    const tries = new Tries();
    while (turn.next < ready) {
      const n = turn.next;
      const taken =
        several !== undefined && tries.isDue ? several(view, index.places, n, ready) : 0;
      tries.took(taken);
      turn.next += taken;
      if (turn.next < ready) each(view, index.at(turn.next++));
      if ((taken > 0 || n % ASKED_EVERY === 0) && enough?.() === true) return false;
    }
    this.#turn = null;
    if (turn.bytes.length <= KEPT_BYTES) this.#spare = turn.bytes;
    return true;
  }

  /** null: nothing is there. */
  #begin(until: number): Turn | null {
    if (this.#used === 0) return null;
    const bytes = this.#bytes;
    const view = viewOf(bytes);
    const index = this.#index;
    index.fill(view, this.#used);
    // Events that are added from here on go to the other buffer.
    this.#bytes = this.#spare ?? new Uint8Array(FIRST_BYTES);
    this.#spare = null;
    this.#used = 0;
    const ready = index.countUpTo(until);
    for (let n = ready; n < index.count; n++)
      this.#keep(bytes.subarray(index.at(n), index.at(n) + eventSize));
    return { bytes, view, ready, next: 0 };
  }

  #keep(event: Uint8Array): void {
    const at = this.#next();
    this.#bytes.set(event, at);
  }

  /** Makes room for one more event, which is to be written at the place that is returned. */
  #next(): number {
    if (this.#bytes.length - this.#used < ringPrefixSize + eventSize)
      this.room(ringPrefixSize + eventSize);
    if (this.#view.buffer !== this.#bytes.buffer) this.#view = viewOf(this.#bytes);
    this.#view.setUint32(this.#used, eventSize, true);
    const at = this.#used + ringPrefixSize;
    this.#used = at + eventSize;
    return at;
  }
}

// --- internal ---

/** The events of one take. */
interface Turn {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView;
  /** So many of the index are due, and the next one is this. */
  ready: number;
  next: number;
}

/** Decides when several events are tried: the less often they are taken, the more seldom. */
class Tries {
  #every = 1;
  #until = 0;

  get isDue(): boolean {
    return this.#until === 0;
  }

  /** So many were taken; 0 also where none was tried. */
  took(count: number): void {
    if (count > 0) this.#every = 1;
    else if (!this.isDue) this.#until--;
    else {
      this.#until = this.#every - 1;
      this.#every = Math.min(2 * this.#every, TRIED_EVERY);
    }
  }
}

const padded = (size: number): number => (size + 7) & ~7;
const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, length);

/** Rings of several CPUs lie one behind the other: their records are sorted another way, before they were moved more often. */
const MOVES_EACH = 8;

/** In a buffer of their own, which stays at its address. */
const held = (count: number): Int32Array => new Int32Array(new ArrayBuffer(4 * count));

/** Where the events lie, in the order of time. Its arrays are used again. */
class Index {
  count = 0;
  /** Integers: a place that is a double would make every read slow. */
  #places = held(1024);
  /** A double holds the nanoseconds of 104 days of uptime exactly; after that those of nearly equal time stay as they came. */
  #times = new Float64Array(new ArrayBuffer(8 * 1024));
  readonly #ordering: Ordering | null;

  constructor(ordering: Ordering | null = null) {
    this.#ordering = ordering;
  }

  fill(view: DataView, used: number): void {
    const count =
      this.#ordering === null
        ? OrderAnswer.ORDER_UNKNOWN
        : this.#ordered(this.#ordering, view, used);
    if (count === OrderAnswer.ORDER_UNKNOWN) this.#fill(view, used);
    else this.count = count;
  }

  #ordered({ addressOf, order }: Ordering, view: DataView, used: number): number {
    while (this.#places.length < used / eventSize) this.#grow();
    const [places, times] = [addressOf(this.#places), addressOf(this.#times)];
    return order(addressOf(view), used, places, times, this.#places.length);
  }

  #fill(view: DataView, used: number): void {
    this.count = 0;
    let before = -Infinity;
    let ordered = true;
    for (let at = 0; at + ringPrefixSize <= used;) {
      const size = view.getUint32(at, true);
      if (at + ringPrefixSize + size > used)
        throw new RecordError(
          "the event ring",
          `a record of ${size} bytes reaches beyond the drain`,
        );
      const end = at + ringPrefixSize + size;
      for (let p = at + ringPrefixSize; p + eventSize <= end; p += eventSize) {
        const time = timeAt(view, p);
        ordered &&= time >= before;
        before = time;
        this.#add(p, time);
      }
      at += ringPrefixSize + padded(size);
    }
    // Mostly they are in order already, or nearly so: one CPU writes its ring so.
    if (!ordered && !this.#insert()) this.#sort();
  }

  at(n: number): number {
    return this.#places[n]!;
  }

  get places(): Int32Array {
    return this.#places;
  }

  countUpTo(time: number): number {
    let n = this.count;
    while (n > 0 && this.#times[n - 1]! > time) n--;
    return n;
  }

  #grow(): void {
    const [places, times] = [this.#places, this.#times];
    this.#places = held(2 * places.length);
    this.#places.set(places);
    this.#times = new Float64Array(new ArrayBuffer(8 * 2 * times.length));
    this.#times.set(times);
  }

  #add(place: number, time: number): void {
    if (this.count === this.#places.length) this.#grow();
    this.#places[this.count] = place;
    this.#times[this.count++] = time;
  }

  /** Puts each one behind the last that is no younger. False: they are too far from their order; those of one time are as they came. */
  #insert(): boolean {
    const [places, times] = [this.#places, this.#times];
    let left = MOVES_EACH * this.count;
    for (let n = 1; n < this.count; n++) {
      const [place, time] = [places[n]!, times[n]!];
      let to = n;
      for (; to > 0 && times[to - 1]! > time; to--) {
        places[to] = places[to - 1]!;
        times[to] = times[to - 1]!;
      }
      places[to] = place;
      times[to] = time;
      left -= n - to;
      if (left < 0) return false;
    }
    return true;
  }

  #sort(): void {
    const [places, times] = [this.#places.slice(0, this.count), this.#times.slice(0, this.count)];
    const order = Array.from({ length: this.count }, (_, n) => n);
    order.sort((a, b) => times[a]! - times[b]!);
    for (let n = 0; n < order.length; n++) {
      this.#places[n] = places[order[n]!]!;
      this.#times[n] = times[order[n]!]!;
    }
  }
}
