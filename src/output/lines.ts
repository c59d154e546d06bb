/** Lines as bytes, to be written in one piece. Thousands a second are made here, so nothing is made twice. Pure. */

const FIRST_BYTES = 64 << 10;
const LINE_FEED = 10;

const TEN_THOUSAND = 10_000;
/** The four digits of each number below ten thousand, as the bytes of a little-endian word. */
const fourDigits = new Uint32Array(TEN_THOUSAND);
{
  // By counting: it is made at every start, and as many texts would take a tenth of all the memory.
  const ZEROS = 0x3030_3030;
  let n = 0;
  for (let a = 0; a < 10; a++)
    for (let b = 0; b < 10; b++)
      for (let c = 0; c < 10; c++)
        for (let d = 0; d < 10; d++) fourDigits[n++] = ZEROS + a + (b << 8) + (c << 16) + (d << 24);
}

/** Text that is written again and again, eight bytes of its UTF-8 at a time. */
export interface Segment {
  /** The last one ends in zeros. */
  words: Float64Array;
  length: number;
}

/**
 * Eight bytes of UTF-8 are never NaN, whose bits could change on the way: that has 0x7f or 0xff on top, and 0xf0 or more
 * below. No byte is 0xff, and behind 0xf0 there is none below 0x80.
 */
export function segment(text: string): Segment {
  const length = Buffer.byteLength(text);
  const words = new Float64Array(Math.ceil(length / 8));
  Buffer.from(words.buffer).write(text);
  return { words, length };
}

const NULL = segment("null");

/** Number of bytes that putSegment and putInteger may write behind their text. These bytes are overwritten or never read. */
const SLACK = 16;
/** Of the longest integer, in fours. */
const INTEGER_BYTES = 20;

/** Writes at `at` and returns where the next byte goes; so do those below. There must be room. */
export function putSegment(view: DataView, at: number, { words, length }: Segment): number {
  for (let n = 0; n < words.length; n++) view.setFloat64(at + n * 8, words[n]!, true);
  return at + length;
}

/** From 0 to 2^53 - 1. */
export function putInteger(view: DataView, at: number, value: number): number {
  if (value < TEN_THOUSAND) {
    const zeros = value < 10 ? 3 : value < 100 ? 2 : value < 1000 ? 1 : 0;
    view.setUint32(at, fourDigits[value]! >>> (8 * zeros), true);
    return at + 4 - zeros;
  }
  const high = Math.floor(value / TEN_THOUSAND);
  const next = putInteger(view, at, high);
  view.setUint32(next, fourDigits[value - high * TEN_THOUSAND]!, true);
  return next + 4;
}

/** Below a million, with leading zeros. */
export function putSixDigits(view: DataView, at: number, value: number): number {
  const high = (value / TEN_THOUSAND) | 0;
  view.setUint16(at, fourDigits[high]! >>> 16, true);
  view.setUint32(at + 2, fourDigits[value - high * TEN_THOUSAND]!, true);
  return at + 6;
}

/** Bytes that somebody may hold until `done`, after which their room is used again. */
export interface Taken {
  bytes: Uint8Array;
  done(): void;
}

export class Lines {
  #room: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #view = viewOf(this.#room);
  #spare: Buffer | null = null;
  #used = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** One whole line. */
  line(text: string): void {
    this.text(text);
    this.end();
  }

  end(): void {
    this.#ensure(1);
    this.#room[this.#used++] = LINE_FEED;
    this.#count++;
  }

  text(text: string): void {
    // No character of UTF-16 takes more than three bytes of UTF-8.
    this.#ensure(text.length * 3);
    this.#used += this.#room.write(text, this.#used);
  }

  /** Leaves room for so many bytes of the line that has begun; for `fill`. */
  hole(bytes: number): number {
    this.#ensure(bytes);
    const at = this.#used;
    this.#used += bytes;
    return at;
  }

  /** The bytes written since `at`. They must not be kept: the room is written again. */
  since(at: number): Uint8Array {
    return new Uint8Array(this.#room.buffer, this.#room.byteOffset + at, this.#used - at);
  }

  /** ASCII, as long as the hole. */
  fill(at: number, ascii: string): void {
    this.#room.write(ascii, at, "latin1");
  }

  segment(segment: Segment): void {
    // A copy of so few bytes by `set` takes longer than the whole line.
    this.#ensure(segment.words.length * 8);
    this.#used = putSegment(this.#view, this.#used, segment);
  }

  /** Where one more line of at most so many bytes may be put, by putSegment and its like; `putLine` takes it in. */
  reserve(bytes: number): DataView {
    this.#ensure(bytes + SLACK);
    return this.#view;
  }

  /** Where the next byte goes. */
  get used(): number {
    return this.#used;
  }

  /** Ends the line that lies before `used`, by its line break. */
  putLine(used: number): void {
    this.#room[used] = LINE_FEED;
    this.#used = used + 1;
    this.#count++;
  }

  /** Takes in `count` lines that lie before `used`, each with its line break. */
  putLines(used: number, count: number): void {
    this.#used = used;
    this.#count += count;
  }

  /** A count, in decimal digits; `null` as JSON writes it. */
  count64(value: number | bigint | null): void {
    if (value === null) return this.segment(NULL);
    if (typeof value === "number") return this.integer(value);
    const number = Number(value);
    if (number <= Number.MAX_SAFE_INTEGER) this.integer(number);
    else this.text(value.toString());
  }

  /** From 0 to 2^53 - 1. */
  integer(value: number): void {
    this.#ensure(INTEGER_BYTES);
    this.#used = putInteger(this.#view, this.#used, value);
  }

  /** Below a million, with leading zeros. */
  sixDigits(value: number): void {
    this.#ensure(6);
    this.#used = putSixDigits(this.#view, this.#used, value);
  }

  /** Returns all bytes and begins anew. `forLong`: a copy without the free room behind it, to be kept. */
  take(forLong = false): Taken {
    const room = this.#room;
    const bytes = room.subarray(0, this.#used);
    if (forLong) {
      this.#used = 0;
      this.#count = 0;
      return { bytes: new Uint8Array(bytes), done() {} };
    }
    this.#room = this.#spare ?? Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.#view = viewOf(this.#room);
    this.#spare = null;
    this.#used = 0;
    this.#count = 0;
    return { bytes, done: () => void (this.#spare = room) };
  }

  #ensure(bytes: number): void {
    if (this.#used + bytes <= this.#room.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.#used + bytes));
    larger.set(this.#room.subarray(0, this.#used));
    this.#room = larger;
    this.#view = viewOf(larger);
  }
}

const viewOf = ({ buffer, byteOffset, length }: Buffer): DataView =>
  new DataView(buffer, byteOffset, length);
