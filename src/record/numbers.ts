/** Numbers for values that many records have in common, so that a record tells such a value by itself. Pure. */

/** For most of them a record has one byte. */
const MOST = 255;

export class Numbers<T> {
  readonly #first: number;
  readonly #most: number;
  readonly #values: T[] = [];
  readonly #numbers = new Map<unknown, number>();

  /** Numbers below `first` mean something else, and none is above `most`. */
  constructor(first: number, most = MOST) {
    this.#first = first;
    this.#most = most;
  }

  get isFull(): boolean {
    return this.#first + this.#values.length > this.#most;
  }

  /** The number that was given to the value with this key; `undefined`: none was. */
  known(key: unknown): number | undefined {
    return this.#numbers.get(key);
  }

  /** The same, given now if it must be. A number keeps its value. `null`: all are given. */
  give(value: T, key: unknown = value): number | null {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if (this.isFull) return null;
    const number = this.#first + this.#values.push(value) - 1;
    this.#numbers.set(key, number);
    return number;
  }

  /** `undefined`: it is nobody's number. */
  of(number: number): T | undefined {
    return this.#values[number - this.#first];
  }
}
