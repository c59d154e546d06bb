/** The sums of connections that are over, by the name of their group in each grouping. Pure. */
import type { ConnEvent } from "../conn/event.ts";
import type { Fact } from "./facts.ts";
import { groupingOf, topGroupingNames, type TopGrouping } from "./groupings.ts";
import { addTotals, noTotals, type TotalSums } from "./sums.ts";

export interface EndedGroup {
  /** The last one, whose process and ends the group is named by. */
  event: ConnEvent;
  totals: TotalSums;
}

type Groups = Map<string | number | null, EndedGroup>;

/** Groups of one grouping beyond so many push out those that are silent for longest, so that memory has a bound. */
const MOST_GROUPS = 16_384;

export class Ended {
  readonly #groups: Readonly<Record<TopGrouping, Groups>>;
  readonly #forgotten: Record<TopGrouping, number>;
  /** Over all, also those whose group is forgotten. */
  readonly totals: TotalSums;

  constructor(from?: Ended) {
    const each = <T>(of: (name: TopGrouping) => T) =>
      Object.fromEntries(topGroupingNames.map((name) => [name, of(name)])) as Record<
        TopGrouping,
        T
      >;
    this.totals = structuredClone(from?.totals) ?? noTotals();
    this.#forgotten = each((name) => from?.forgotten(name) ?? 0);
    this.#groups = each((name) => new Map(from && copyOf(from.of(name))));
  }

  add(fact: Fact): void {
    addTotals(this.totals, fact);
    for (const name of topGroupingNames) {
      const groups = this.#groups[name];
      const key = groupingOf(name).key(fact.event);
      const known = groups.get(key);
      const totals = known?.totals ?? noTotals();
      addTotals(totals, fact);
      // The newest stands last.
      if (known !== undefined) groups.delete(key);
      groups.set(key, { event: fact.event, totals });
      if (groups.size <= MOST_GROUPS) continue;
      groups.delete(groups.keys().next().value!);
      this.#forgotten[name] += 1;
    }
  }

  of(by: TopGrouping): ReadonlyMap<string | number | null, EndedGroup> {
    return this.#groups[by];
  }

  /** How many groups were pushed out. */
  forgotten(by: TopGrouping): number {
    return this.#forgotten[by];
  }

  /** The same, which does not grow. */
  copy(): Ended {
    return new Ended(this);
  }
}

// --- internal ---

const copyOf = (groups: ReadonlyMap<string | number | null, EndedGroup>) =>
  [...groups].map(
    ([key, { event, totals }]) => [key, { event, totals: structuredClone(totals) }] as const,
  );
