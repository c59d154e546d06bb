/** The sums of connections that are over, by the name of their group in each grouping. Pure. */
import type { ConnEvent } from "../conn/event.ts";
import type { Fact } from "./facts.ts";
import { groupingOf, topGroupingNames, type TopGrouping } from "./groupings.ts";
import { addTotals, noTotals, type TotalSums } from "./sums.ts";

export interface EndedGroup {
  /** The last one, whose process and ends the group is named by. */
  event: ConnEvent;
  totals: TotalSums;
  /** The interval in which one ended last. */
  heard: number;
}

type Groups = Map<string | number | null, EndedGroup>;

/** Groups of one grouping beyond so many push out those that are silent for longest, so that memory has a bound. */
const MOST_GROUPS = 16_384;
/** The first key of a map is slow to find behind keys that were deleted: so many go in one pass. */
const AT_ONCE = 1_024;

export class Ended {
  readonly #groups: Readonly<Record<TopGrouping, Groups>>;
  readonly #forgotten: Record<TopGrouping, number>;
  #interval = 0;
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

  /** All that ended in one interval. */
  add(facts: readonly Fact[]): void {
    this.#interval += 1;
    for (const fact of facts) {
      addTotals(this.totals, fact);
      for (const name of topGroupingNames) this.#addTo(name, fact);
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

  #addTo(name: TopGrouping, fact: Fact): void {
    const groups = this.#groups[name];
    const key = groupingOf(name).key(fact.event);
    const group = groups.get(key) ?? { event: fact.event, totals: noTotals(), heard: 0 };
    addTotals(group.totals, fact);
    group.event = fact.event;
    if (group.heard === this.#interval) return;
    group.heard = this.#interval;
    // The newest stands last.
    groups.delete(key);
    groups.set(key, group);
    if (groups.size >= MOST_GROUPS + AT_ONCE) this.#forgotten[name] += forget(groups);
  }
}

// --- internal ---

/** The oldest. Returns how many. */
function forget(groups: Groups): number {
  const before = groups.size;
  for (const key of groups.keys()) {
    if (groups.size <= MOST_GROUPS) break;
    groups.delete(key);
  }
  return before - groups.size;
}

const copyOf = (groups: ReadonlyMap<string | number | null, EndedGroup>) =>
  [...groups].map(
    ([key, group]) => [key, { ...group, totals: structuredClone(group.totals) }] as const,
  );
