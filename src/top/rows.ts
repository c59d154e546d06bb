/** The rows of an interval: its connections, put together and sorted. Pure. */
import type { ConnEvent } from "../conn/event.ts";
import { orders, rateOrder } from "./columns.ts";
import type { Ended } from "./ended.ts";
import type { Fact, Tick } from "./facts.ts";
import { groupingOf, partText, type TopGrouping } from "./groupings.ts";
import { addEnded, addFact, noSums, type Sums } from "./sums.ts";

export interface Row {
  /** The same in each interval. */
  key: string;
  /** Of its busiest connection in the interval, else of the last one that ended. */
  event: ConnEvent;
  sums: Sums;
}

export interface Query {
  by: TopGrouping;
  /** Of `orders`. */
  sort: string;
  reverse: boolean;
  /** Also groups in which nothing is open and nothing has happened in the interval. */
  ended: boolean;
  /** Only connections of this row of another grouping. */
  within: Within | null;
  /** Only rows whose name has this text; small and capital letters are the same. */
  text: string;
  /** At most so many. */
  most: number;
}

export interface Within {
  by: TopGrouping;
  key: string;
}

export interface Found {
  rows: Row[];
  /** All that there are. */
  count: number;
}

export function rowsOf(tick: Tick, query: Query): Found {
  const { by, within } = query;
  const wanted = nameTest(query);
  const inside = within === null ? tick.facts : tick.facts.filter((fact) => isWithin(fact, within));
  const facts =
    by === "connection" && wanted !== null ? inside.filter(({ event }) => wanted(event)) : inside;
  if (by === "connection") {
    const all = alone(facts, query, tick);
    const rows = wanted === null ? all : all.filter(({ event }) => wanted(event));
    return { rows: inOrder(rows, query), count: Math.max(rows.length, facts.length) };
  }
  const all = together(facts, query, tick);
  const groups = wanted === null ? all : all.filter(({ event }) => wanted(event));
  const chosen = mostOf(groups, query).map(({ key, event, sums }) => ({ key, event, sums }));
  return { rows: inOrder(chosen, query), count: groups.length };
}

/** The same, made once for a tick and a query: a screen asks for the rows of its rates as well, and again at each key. */
export function rowsKept(): typeof rowsOf {
  let last: { tick: Tick; query: Query; found: Found } | null = null;
  return (tick, query) => {
    const isSame =
      last !== null &&
      last.tick === tick &&
      (Object.keys(query) as (keyof Query)[]).every((name) => last!.query[name] === query[name]);
    if (!isSame) last = { tick, query, found: rowsOf(tick, query) };
    return last!.found;
  };
}

/** The sums over all rows. */
export function totalOf({ facts, ended }: Tick): Sums {
  const sums = noSums();
  for (const fact of facts) addFact(sums, fact);
  addEnded(sums, ended.totals);
  return sums;
}

const keyText = (key: string | number | null): string => `${typeof key} ${key}`;

// --- internal ---

/** `null`: all are wanted. */
function nameTest({ by, text }: Query): ((event: ConnEvent) => boolean) | null {
  if (text === "") return null;
  const { parts } = groupingOf(by);
  const wanted = text.toLowerCase();
  return (event) =>
    parts.some((part) => partText(part, event, false).toLowerCase().includes(wanted));
}

const isWithin = (fact: Fact, { by, key }: Within): boolean =>
  keyText(groupingOf(by).key(fact.event)) === key;

const orderOf = (sort: string) => orders.find(({ name }) => name === sort) ?? rateOrder;

/** The most first, text from A on, what is not known last. */
function compare(a: number | string | null, b: number | string | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  if (typeof a === "string" || typeof b === "string") return String(a) < String(b) ? -1 : 1;
  return b - a;
}

function inOrder(rows: Row[], { sort, reverse, most }: Query): Row[] {
  const { order } = orderOf(sort);
  rows.sort((a, b) => compare(order(a), order(b)) || compare(a.sums.open, b.sums.open));
  if (reverse) rows.reverse();
  return rows.slice(0, most);
}

/** A row that grows. Of a hundred thousand rows most are of one connection and not seen: these are never summed up. */
class Group implements Row {
  event: ConnEvent;
  /** `null`: there are sums. */
  alone: Fact | null;
  readonly #name: string | number | null;
  #sums: Sums | null = null;
  #busiest: number;

  constructor(name: string | number | null, event: ConnEvent, alone: Fact | null) {
    this.#name = name;
    this.event = event;
    this.alone = alone;
    this.#busiest = alone === null ? 0 : movedBy(alone);
  }

  get key(): string {
    return keyText(this.#name);
  }

  get sums(): Sums {
    if (this.#sums !== null) return this.#sums;
    this.#sums = noSums();
    if (this.alone !== null) addFact(this.#sums, this.alone);
    this.alone = null;
    return this.#sums;
  }

  add(fact: Fact): void {
    addFact(this.sums, fact);
    const moved = movedBy(fact);
    if (moved <= this.#busiest) return;
    this.#busiest = moved;
    this.event = fact.event;
  }
}

const movedBy = ({ tx, rx }: Fact): number => (tx ?? 0) + (rx ?? 0);

function together(facts: readonly Fact[], { by, ended, within }: Query, tick: Tick): Group[] {
  const { key } = groupingOf(by);
  const groups = new Map<string | number | null, Group>();
  for (const fact of facts) {
    const name = key(fact.event);
    const row = groups.get(name);
    if (row === undefined) groups.set(name, new Group(name, fact.event, fact));
    else row.add(fact);
  }
  // In which row of another grouping an ended connection was is not known.
  if (within === null || within.by === by)
    for (const [name, { event, totals }] of tick.ended.of(by)) {
      if (within !== null && within.key !== keyText(name)) continue;
      let row = groups.get(name);
      if (row === undefined && !ended) continue;
      if (row === undefined) groups.set(name, (row = new Group(name, event, null)));
      addEnded(row.sums, totals);
    }
  return [...groups.values()];
}

/** The groups that have a chance to be seen. */
function mostOf(groups: readonly Group[], query: Query): readonly Group[] {
  if (groups.length <= query.most) return groups;
  const { order, ofFact } = orderOf(query.sort);
  const values = groups.map((group) =>
    ofFact !== undefined && group.alone !== null ? ofFact(group.alone) : order(group),
  );
  // Text: no number is the least of them.
  if (!values.every((value) => typeof value !== "string")) return groups;
  // To ask for the sums of a single connection would make them.
  const open = (group: Group): number =>
    group.alone === null ? group.sums.open : Number(group.alone.open);
  return best(groups, query, values, (equal, rest) => best(equal, rest, equal.map(open)));
}

/** Of a hundred thousand connections only those are made to rows that have a chance to be seen. */
function alone(facts: readonly Fact[], query: Query, { ended }: Tick): Row[] {
  const { ofFact } = orderOf(query.sort);
  const chosen =
    ofFact === undefined || facts.length <= query.most
      ? facts
      : best(facts, query, facts.map(ofFact));
  const { key } = groupingOf("connection");
  const rows = chosen.map((fact): Row => {
    const sums = noSums();
    addFact(sums, fact);
    return { key: keyText(key(fact.event)), event: fact.event, sums };
  });
  return query.ended && query.within === null ? [...rows, ...over(ended)] : rows;
}

const over = (ended: Ended): Row[] =>
  [...ended.of("connection")].map(([name, { event, totals }]) => {
    const sums = noSums();
    addEnded(sums, totals);
    return { key: keyText(name), event, sums };
  });

/** The `most` of them, by `values`; of those that are equal the first, or those that `among` chooses. */
function best<T>(
  items: readonly T[],
  { most, reverse }: Pick<Query, "most" | "reverse">,
  values: readonly (number | null)[],
  among = (equal: readonly T[], rest: Pick<Query, "most" | "reverse">): readonly T[] =>
    equal.slice(0, rest.most),
): readonly T[] {
  if (items.length <= most) return items;
  const sign = reverse ? -1 : 1;
  // Unknown values are last, and first the other way round.
  const numbers = Float64Array.from(values, (value) => sign * (value ?? -1));
  const least = numbers.toSorted()[items.length - most]!;
  const above = items.filter((_, i) => numbers[i]! > least);
  const equal = items.filter((_, i) => numbers[i] === least);
  return [...above, ...among(equal, { most: most - above.length, reverse })];
}
