/** Rows by their keys, in bounded memory. Pure. */

/** Rows beyond so many are put together as one. */
const MOST_ROWS = 65_536;
/** The name of that row. No process has it: the kernel keeps 15 bytes of a name. */
export const OTHERS = "(all others together)";

export class Rows<T> {
  readonly #rows = new Map<string, T>();
  readonly #others: () => T;

  /** `others` makes the row for all that have no room. */
  constructor(others: () => T) {
    this.#others = others;
  }

  of(key: string, begin: () => T): T {
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    if (this.#rows.size >= MOST_ROWS && key !== OTHERS) return this.of(OTHERS, this.#others);
    const row = begin();
    this.#rows.set(key, row);
    return row;
  }

  sorted(order: (a: T, b: T) => number): T[] {
    return [...this.#rows.values()].sort(order);
  }
}
