/** Bytes of one direction that follow each other, put together from several looks. Pure. */

/** The most that is kept. Longer hellos have long keys, most often behind the names. */
const MOST = 600;

export class Stretch {
  readonly offset: number;
  #bytes: Uint8Array;
  #broken = false;

  constructor(offset: number, bytes: Uint8Array) {
    this.offset = offset;
    this.#bytes = bytes.slice(0, MOST);
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Whether nothing more can be added: it is full, or what followed was not seen. */
  get ended(): boolean {
    return this.#broken || this.#bytes.length >= MOST;
  }

  /** Bytes that came before are passed over. */
  add(offset: number, bytes: Uint8Array): void {
    if (this.ended) return;
    const behind = (offset - this.offset) | 0;
    const known = this.#bytes.length;
    if (behind > known) this.#broken = true;
    if (behind < 0 || behind > known || behind + bytes.length <= known) return;
    const more = bytes.subarray(known - behind).subarray(0, MOST - known);
    const all = new Uint8Array(known + more.length);
    all.set(this.#bytes);
    all.set(more, known);
    this.#bytes = all;
  }
}
