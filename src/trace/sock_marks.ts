/**
 * The socks of which some part knows more than their records hold. Records of all others may become lines without a look by
 * any part: see stream/conditions.ts. Marks are by hash, so a sock may be marked for another one. Pure.
 */
import { SockMarks as Size } from "../record/layout.gen.ts";
import { hashOf } from "./sock.ts";

export class SockMarks {
  /** Maps that hold a sock with this hash, in a buffer of its own, which stays at its address. */
  readonly bytes = marks();
  /** The same of socks of which only the end is of concern. */
  readonly ends = marks();

  /** A map by sock (see sockAt), of which each sock is marked as long as it is there. A key that is a text marks none. */
  map<K extends number | string, V>(): Map<K, V> {
    return new MarkingMap<K, V>(this.bytes);
  }

  /** The same of connections that were looked at: what was seen tells nothing before their end, or they are in another map. */
  lookedAt<V>(): Map<number, V> {
    return new MarkingMap<number, V>(this.ends);
  }
}

// --- internal ---

const marks = (): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(Size.SOCK_MARKS));

/** So many are not counted: the mark stays. */
const MOST = 255;

class MarkingMap<K extends number | string, V> extends Map<K, V> {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  override set(key: K, value: V): this {
    if (typeof key === "number" && !this.has(key)) this.#add(key, 1);
    return super.set(key, value);
  }

  override delete(key: K): boolean {
    const deleted = super.delete(key);
    if (deleted && typeof key === "number") this.#add(key, -1);
    return deleted;
  }

  override clear(): void {
    for (const key of this.keys()) if (typeof key === "number") this.#add(key, -1);
    super.clear();
  }

  #add(sock: number, more: number): void {
    const slot = slotOf(sock);
    if (this.#bytes[slot] !== MOST) this.#bytes[slot]! += more;
  }
}

const HASH_SHIFT = 32 - Math.log2(Size.SOCK_MARKS);

/** As is_marked() of src/kernel/shim/lines.c. */
const slotOf = (sock: number): number => hashOf(sock) >>> HASH_SHIFT;
