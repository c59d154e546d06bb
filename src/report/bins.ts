/** Counts of things by time, where neither the first nor the last time is known beforehand. Pure. */

/** So many bins at most; beyond, two neighbours become one. */
const MOST_BINS = 256;

export interface Bin {
  /** Nanoseconds since 1970. */
  fromNs: bigint;
  toNs: bigint;
  counts: readonly number[];
}

export class Bins {
  readonly #kinds: number;
  #originNs: bigint | null = null;
  #widthNs = 1_000n;
  #counts: number[][] = [];

  /** `kinds`: how many numbers each bin has. */
  constructor(kinds: number) {
    this.#kinds = kinds;
  }

  add(atNs: bigint, kind: number): void {
    this.#originNs ??= atNs;
    while (this.#binsWith(atNs) > MOST_BINS) this.#halve();
    while (atNs < this.#originNs) {
      this.#counts.unshift(this.#empty());
      this.#originNs -= this.#widthNs;
    }
    const at = Number((atNs - this.#originNs) / this.#widthNs);
    while (this.#counts.length <= at) this.#counts.push(this.#empty());
    this.#counts[at]![kind]! += 1;
  }

  /** In the order of time, also those with nothing in them. */
  get all(): Bin[] {
    const originNs = this.#originNs ?? 0n;
    return this.#counts.map((counts, n) => ({
      fromNs: originNs + BigInt(n) * this.#widthNs,
      toNs: originNs + BigInt(n + 1) * this.#widthNs,
      counts,
    }));
  }

  /** How many bins of today's width there are with this time. */
  #binsWith(atNs: bigint): number {
    const originNs = this.#originNs!;
    const reach = (ns: bigint) => Math.ceil(Number(ns) / Number(this.#widthNs));
    if (atNs < originNs) return this.#counts.length + reach(originNs - atNs);
    return Math.max(this.#counts.length, reach(atNs - originNs + 1n));
  }

  #halve(): void {
    const pairs = Math.ceil(this.#counts.length / 2);
    this.#counts = Array.from({ length: pairs }, (_, n) => {
      const [a, b = this.#empty()] = this.#counts.slice(2 * n, 2 * n + 2);
      return a!.map((count, kind) => count + b[kind]!);
    });
    this.#widthNs *= 2n;
  }

  #empty(): number[] {
    return Array.from({ length: this.#kinds }, () => 0);
  }
}
