/** The first bytes of a segment or a datagram, as recognisers read them. Pure. */

/** The end that opened the connection is the client, whichever end is the tool's own. */
export type Side = "client" | "server";

export interface Payload {
  bytes: Uint8Array;
  /** Of the whole segment or datagram, of which `bytes` are the first. */
  length: number;
  /** The end that sent it; `null`: not known, the connection is older than the trace. */
  from: Side | null;
  /** The bytes are the first ones that this end sends, not counting a PROXY header or what came before an upgrade. */
  start: boolean;
}

/** As much as text is read of. Patterns meet text that strangers chose: their cost is bounded by its length. */
const TEXT_BYTES = 160;

export class Seen implements Payload {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly from: Side | null;
  readonly start: boolean;
  /** The first text line that the other end sent, as far as it was seen; empty: none. */
  readonly greeting: string;
  #text: string | null = null;

  constructor({ bytes, length, from, start }: Payload, greeting = "") {
    this.bytes = bytes;
    this.length = length;
    this.from = from;
    this.start = start;
    this.greeting = greeting;
  }

  /** A byte is a character (Latin 1). Empty if the first one is not printable. */
  get text(): string {
    const first = this.u8(0);
    return (this.#text ??= first < 0x20 || first > 0x7e ? "" : this.textFrom(0));
  }

  textFrom(at: number): string {
    const { buffer, byteOffset, length } = this.bytes;
    const size = Math.min(length, TEXT_BYTES) - at;
    return size <= 0 ? "" : Buffer.from(buffer, byteOffset + at, size).toString("latin1");
  }

  /** Whether all of the segment was seen. */
  get whole(): boolean {
    return this.bytes.length === this.length;
  }

  mayBeFrom(side: Side): boolean {
    return this.from === null || this.from === side;
  }

  /** -1: not seen. */
  u8(at: number): number {
    return this.bytes[at] ?? -1;
  }

  /** Big-endian; -1: not all of it was seen. */
  u16(at: number): number {
    const { bytes } = this;
    return at + 2 > bytes.length ? -1 : bytes[at]! * 256 + bytes[at + 1]!;
  }

  u24(at: number): number {
    const { bytes } = this;
    return at + 3 > bytes.length ? -1 : this.u16(at) * 256 + bytes[at + 2]!;
  }

  u32(at: number): number {
    const { bytes } = this;
    return at + 4 > bytes.length ? -1 : this.u16(at) * 2 ** 16 + this.u16(at + 2);
  }

  u24le(at: number): number {
    const { bytes } = this;
    return at + 3 > bytes.length
      ? -1
      : bytes[at]! + bytes[at + 1]! * 2 ** 8 + bytes[at + 2]! * 2 ** 16;
  }

  u32le(at: number): number {
    const { bytes } = this;
    return at + 4 > bytes.length ? -1 : this.u24le(at) + bytes[at + 3]! * 2 ** 24;
  }

  /** Whether all bytes of the range are 0; false also where they were not seen. */
  zeros(from: number, to: number): boolean {
    if (to > this.bytes.length) return false;
    for (let at = from; at < to; at++) if (this.bytes[at] !== 0) return false;
    return true;
  }

  /** Whether the bytes of the range that were seen are printable ASCII, one of them at least. */
  printable(from: number, to: number): boolean {
    const end = Math.min(to, this.bytes.length);
    for (let at = from; at < end; at++)
      if (this.bytes[at]! < 0x20 || this.bytes[at]! > 0x7e) return false;
    return end > from;
  }

  has(at: number, text: string): boolean {
    if (at + text.length > this.bytes.length) return false;
    for (let n = 0; n < text.length; n++)
      if (this.bytes[at + n] !== text.charCodeAt(n)) return false;
    return true;
  }
}
