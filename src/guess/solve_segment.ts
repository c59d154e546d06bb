/**
 * Where payload lies: offsets in struct sk_buff and struct skb_shared_info, from copies of segments that wait in the receive
 * queue of the tool's own connection. Their lengths, ports and sequence numbers are known. Pure.
 */
import { KERNEL_CEILING } from "./window.ts";
import { offsetsWhere, viewOf } from "./search.ts";

/** A segment that TCP has queued: its payload has been pulled, so `data` is behind the TCP header. */
export interface SegmentSample {
  /** The beginning of its struct sk_buff. */
  skb: Uint8Array;
  /** Bytes of payload. */
  length: number;
  /** Host order. */
  sport: number;
  dport: number;
  /** Copies memory; shorter, or empty, where it cannot be read. */
  peek(address: bigint): Uint8Array;
}

/** `end` follows `tail`, `data` follows `head`; between the pairs there may be padding. */
export interface BufferPlaces {
  tail: number;
  head: number;
}

export interface SkbPlaces extends BufferPlaces {
  /** `data_len` follows. */
  len: number;
}

export interface FragPlaces {
  nr_frags: number;
  frags: number;
  /** The length comes before the offset: 5.4 and later. */
  lenFirst: boolean;
}

export interface Buffer {
  tail: number;
  end: number;
  head: bigint;
  data: bigint;
}

export interface Frag {
  page: bigint;
  offset: number;
  length: number;
}

/** A text says why not. */
export function solveSkbPlaces(
  samples: readonly SegmentSample[],
  floor: bigint,
): SkbPlaces | string {
  const buffers = [8, 12].flatMap((gap) =>
    placesIn(samples, (sample, tail) =>
      leadsToHeader(sample, { tail, head: tail + gap }, floor),
    ).map((tail) => ({ tail, head: tail + gap })),
  );
  if (buffers.length !== 1) return `${buffers.length} places in sk_buff lead to the TCP header`;
  const buffer = buffers[0]!;
  const lens = placesIn(samples, (sample, at) => {
    const { length, skb } = sample;
    const inBuffer = inBufferOf(readBuffer(skb, buffer));
    return u32(skb, at) === length && u32(skb, at + 4) === length - inBuffer;
  });
  if (lens.length !== 1) return `${lens.length} places in sk_buff hold len and data_len`;
  return { ...buffer, len: lens[0]! };
}

/** From the samples that have payload in pages. */
export function solveFragPlaces(
  samples: readonly SegmentSample[],
  places: SkbPlaces,
  floor: bigint,
): FragPlaces | string {
  const shared = samples.flatMap((sample) => {
    const buffer = readBuffer(sample.skb, places);
    const inPages = sample.length - inBufferOf(buffer);
    return inPages > 0 ? { bytes: sample.peek(buffer.head + BigInt(buffer.end)), inPages } : [];
  });
  if (shared.length < 2) return "no segment had payload in pages";
  const found: FragPlaces[] = [];
  for (const nr_frags of NR_FRAGS_AT)
    for (let frags = 8; frags <= FRAGS_BELOW; frags += 8)
      for (const lenFirst of [true, false]) {
        const frag = { nr_frags, frags, lenFirst };
        if (shared.every(({ bytes, inPages }) => sumsUp(bytes, frag, inPages, floor)))
          found.push(frag);
      }
  return found.length === 1 ? found[0]! : `${found.length} layouts of skb_shared_info fit`;
}

/**
 * Where the sequence numbers of the first byte and of the one behind the last stand: in the control block that TCP has in each
 * sk_buff. The samples follow each other in one stream. null: not found.
 */
export function solveSequences(samples: readonly SegmentSample[]): number | null {
  const found = offsetsWhere(
    samples,
    ({ skb }) => skb,
    { step: 4, width: 8 },
    ({ skb, length }, at) => (u32(skb, at + 4) - u32(skb, at)) >>> 0 === length,
  ).filter((at) =>
    samples.every(({ skb }, n) => n === 0 || u32(skb, at) === u32(samples[n - 1]!.skb, at + 4)),
  );
  return found.length === 1 ? found[0]! : null;
}

/** A sock before and while one segment waits for its acknowledgement. */
export interface WaitingSample {
  settled: Uint8Array;
  waiting: Uint8Array;
  /** Bytes of payload in the segment. */
  length: number;
  peek(address: bigint): Uint8Array;
}

/** tcp_rtx_queue, 4.15 and later: in struct sock; the hints that lead to the same sk_buff are further on. null: not found. */
export function solveRtxQueue(
  { settled, waiting, length, peek }: WaitingSample,
  places: SkbPlaces,
  floor: bigint,
): number | null {
  for (let at = 0; at + 8 <= Math.min(settled.length, waiting.length); at += 8) {
    const word = u64(waiting, at);
    if (u64(settled, at) !== 0n || !isAddress(word, floor) || word % 8n !== 0n) continue;
    const skb = peek(word);
    const { head, len } = places;
    if (skb.length < Math.max(head + 16, len + 8) || u32(skb, len) !== length) continue;
    const buffer = readBuffer(skb, places);
    const inBuffer = inBufferOf(buffer);
    if (buffer.data < buffer.head || inBuffer < 0) continue;
    if (u32(skb, len + 4) === length - inBuffer) return at;
  }
  return null;
}

export const readBuffer = (skb: Uint8Array, { tail, head }: BufferPlaces): Buffer => ({
  tail: u32(skb, tail),
  end: u32(skb, tail + 4),
  head: u64(skb, head),
  data: u64(skb, head + 8),
});

/** Bytes of payload behind `data`. */
export const inBufferOf = ({ tail, head, data }: Buffer): number => tail - Number(data - head);

export function readFrag(shared: Uint8Array, { frags, lenFirst }: FragPlaces, n: number): Frag {
  const at = frags + n * FRAG_BYTES;
  const [first, second] = [u32(shared, at + 8), u32(shared, at + 12)];
  return {
    page: u64(shared, at),
    length: lenFirst ? first : second,
    offset: lenFirst ? second : first,
  };
}

// --- internal ---

/** A byte: at 0 before 4.7 or so, at 2 since. */
const NR_FRAGS_AT = [0, 1, 2, 3] as const;
const FRAGS_BELOW = 128;
const FRAG_BYTES = 16;
/** From `tail` to the end of `data`, with padding. */
const LONGEST = 28;
const MOST_FRAGS = 17;
/** The alignment of skb_shared_info is that of a cache line, which no machine has shorter. */
const ALIGNMENT = 32;
const BUFFER_MAX = 1 << 16;
const TCP_HEADER_MIN = 20;
const TCP_HEADER_MAX = 60;

const u32 = (bytes: Uint8Array, at: number): number => viewOf(bytes).getUint32(at, true);
const u64 = (bytes: Uint8Array, at: number): bigint => viewOf(bytes).getBigUint64(at, true);

const isAddress = (word: bigint, floor: bigint): boolean => word >= floor && word < KERNEL_CEILING;

const placesIn = (
  samples: readonly SegmentSample[],
  holds: (sample: SegmentSample, at: number) => boolean,
): number[] => offsetsWhere(samples, ({ skb }) => skb, { step: 4, width: LONGEST }, holds);

/** The header of this very segment ends where `data` points to. */
function leadsToHeader(sample: SegmentSample, at: BufferPlaces, floor: bigint): boolean {
  if (at.head % 8 !== 0) return false;
  const buffer = readBuffer(sample.skb, at);
  const { tail, end, head, data } = buffer;
  if (!isAddress(head, floor) || !isAddress(data, floor)) return false;
  const before = Number(data - head);
  if (before < TCP_HEADER_MIN || before > tail || tail > end || end > BUFFER_MAX) return false;
  if (end % ALIGNMENT !== 0 || inBufferOf(buffer) > sample.length) return false;
  const bytes = sample.peek(data - BigInt(Math.min(before, TCP_HEADER_MAX)));
  const behind = Math.min(before, TCP_HEADER_MAX);
  if (bytes.length < behind) return false;
  for (let length = TCP_HEADER_MIN; length <= behind; length += 4)
    if (isHeader(viewOf(bytes), behind - length, length, sample)) return true;
  return false;
}

const isHeader = (view: DataView, at: number, length: number, of: SegmentSample): boolean =>
  view.getUint16(at) === of.sport &&
  view.getUint16(at + 2) === of.dport &&
  view.getUint8(at + 12) >> 4 === length / 4;

/** nr_frags says how many there are, and their lengths are all the payload in pages. */
function sumsUp(shared: Uint8Array, places: FragPlaces, inPages: number, floor: bigint): boolean {
  const count = shared[places.nr_frags] ?? 0;
  if (count === 0 || count > MOST_FRAGS) return false;
  if (places.frags + count * FRAG_BYTES > shared.length) return false;
  let sum = 0;
  for (let n = 0; n < count; n++) {
    const frag = readFrag(shared, places, n);
    if (!isAddress(frag.page, floor) || frag.length === 0) return false;
    sum += frag.length;
  }
  return sum === inPages;
}
