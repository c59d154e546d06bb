/** A counter of one connection, and its growth. Pure. */

/** Counts are numbers: they stay below 2^53. */
export class Meter {
  /** The last known value; NaN: none is known yet, so counting begins with the next one. */
  #at: number;
  /** The value is not known since the last known one. */
  #gap: boolean;
  /** Some of the growth may belong to an earlier interval. */
  #smeared = false;
  #interval = 0;
  #total = 0;

  /** `from`: the value at which counting begins; `null`: it is not known. */
  constructor(from: number | bigint | null) {
    this.#at = from === null ? NaN : Number(from);
    this.#gap = from === null;
  }

  /** A newer value. If it is smaller than the one before, an older observation came late. */
  read(value: number | bigint | null): void {
    if (value === null) {
      this.#gap = true;
      return;
    }
    const now = Number(value);
    const growth = Number.isNaN(this.#at) ? 0 : Math.max(0, now - this.#at);
    if (this.#gap) this.smear();
    this.#gap = false;
    this.#at = Number.isNaN(this.#at) ? now : Math.max(now, this.#at);
    this.#interval += growth;
    this.#total += growth;
  }

  smear(): void {
    this.#smeared = true;
  }

  /** `null`: not known. */
  get interval(): number | null {
    return this.#gap || this.#smeared ? null : this.#interval;
  }

  get total(): number | null {
    return this.#gap ? null : this.#total;
  }

  next(): void {
    this.#interval = 0;
    this.#smeared = false;
  }
}
