/** The places of the rows of one grouping, which stay from interval to interval. Pure. */
import type { Fact } from "./facts.ts";
import { groupingOf, type TopGrouping } from "./groupings.ts";

export type Name = string | number | null;

/** Places whose rows are gone are kept up to so many more than there are rows. */
const SPARE = 4_096;

export class Places {
  readonly #key: (event: Fact["event"]) => Name;
  readonly #byName = new Map<Name, number>();
  /** By place. */
  readonly names: Name[] = [];

  constructor(by: TopGrouping) {
    this.#key = groupingOf(by).key;
  }

  /** Texts are slow to look up: this is done once for a fact. */
  of(fact: Fact): number {
    if (fact.places === this) return fact.place;
    fact.place = this.named(this.#key(fact.event));
    fact.places = this;
    return fact.place;
  }

  find(name: Name): number | undefined {
    return this.#byName.get(name);
  }

  named(name: Name): number {
    const known = this.find(name);
    if (known !== undefined) return known;
    this.#byName.set(name, this.names.length);
    return this.names.push(name) - 1;
  }

  /** Of so many places there is a row now: whether the others are too many, so that one begins anew. */
  isWorn(rows: number): boolean {
    return this.names.length > 2 * rows + SPARE;
  }
}
