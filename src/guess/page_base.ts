/**
 * From a struct page to the memory of its page: page * 64 + base, modulo 2^64, where pages have 4,096 bytes. The kernel's
 * array of struct page and its map of all memory begin at addresses that are chosen at its start, both aligned to 1 GiB;
 * so a page with known bytes is looked for at the few places that are possible. Pure.
 */

/** `head`: any address in the kernel's map of all memory. */
export interface KnownPage {
  page: bigint;
  /** Of `bytes` in it. */
  offset: number;
  bytes: Uint8Array;
}

/** Copies memory; shorter, or empty, where it cannot be read. */
export type Peek = (address: bigint) => Uint8Array;

/** `log2(page size / size of struct page)`; the latter has 64 bytes. */
export const pageShift = (pageBytes: number): number => Math.log2(pageBytes) - 6;

/** null: it is at none of the places. `memoryBytes`: of the host. */
export function findPageBase(
  known: KnownPage,
  head: bigint,
  shift: number,
  memoryBytes: number,
  peek: Peek,
): bigint | null {
  const memoryGib = Math.ceil(memoryBytes / Number(GIB)) + HOLES_GIB;
  const arrayGib = Math.ceil(memoryGib / 2 ** shift) + 1;
  let left = PLACES_MOST;
  for (let k = 0; k <= memoryGib; k++)
    for (let j = 0; j <= arrayGib; j++) {
      const memory = (head & ~(GIB - 1n)) - BigInt(k) * GIB;
      const array = (known.page & ~(GIB - 1n)) - BigInt(j) * GIB;
      const into = (known.page - array) << BigInt(shift);
      if (into > BigInt(memoryGib) * GIB) continue;
      if (left-- === 0) return null;
      const base = BigInt.asUintN(64, memory - (array << BigInt(shift)));
      if (holds(known, shift, base, peek)) return base;
    }
  return null;
}

export function holds(known: KnownPage, shift: number, base: bigint, peek: Peek): boolean {
  const found = peek(addressOf(known, shift, base));
  return found.length >= known.bytes.length && known.bytes.every((byte, n) => found[n] === byte);
}

// --- internal ---

const addressOf = ({ page, offset }: KnownPage, shift: number, base: bigint): bigint =>
  BigInt.asUintN(64, (page << BigInt(shift)) + base + BigInt(offset));

const GIB = 1n << 30n;
/** The map of all memory also has the holes between its pieces. */
const HOLES_GIB = 4;
/** Each takes some microseconds. */
const PLACES_MOST = 8192;
