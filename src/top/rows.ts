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
  const all = by === "connection" ? alone(facts, query, tick) : together(facts, query, tick);
  const rows = wanted === null ? all : all.filter(({ event }) => wanted(event));
  const { order } = orderOf(query.sort);
  rows.sort((a, b) => compare(order(a), order(b)) || compare(a.sums.open, b.sums.open));
  if (query.reverse) rows.reverse();
  const count = Math.max(rows.length, by === "connection" ? facts.length : 0);
  return { rows: rows.slice(0, query.most), count };
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

function together(facts: readonly Fact[], { by, ended, within }: Query, tick: Tick): Row[] {
  const { key } = groupingOf(by);
  const groups = new Map<string | number | null, Row & { busiest: number }>();
  for (const fact of facts) {
    const name = key(fact.event);
    let row = groups.get(name);
    if (row === undefined)
      groups.set(name, (row = { key: "", event: fact.event, sums: noSums(), busiest: -1 }));
    addFact(row.sums, fact);
    const moved = (fact.tx ?? 0) + (fact.rx ?? 0);
    if (moved <= row.busiest) continue;
    row.busiest = moved;
    row.event = fact.event;
  }
  // In which row of another grouping an ended connection was is not known.
  if (within === null || within.by === by)
    for (const [name, { event, totals }] of tick.ended.of(by)) {
      if (within !== null && within.key !== keyText(name)) continue;
      let row = groups.get(name);
      if (row === undefined && !ended) continue;
      if (row === undefined)
        groups.set(name, (row = { key: "", event, sums: noSums(), busiest: 0 }));
      addEnded(row.sums, totals);
    }
  return [...groups].map(([name, { event, sums }]) => ({ key: keyText(name), event, sums }));
}

/** Of a hundred thousand connections only those are made to rows that have a chance to be seen. */
function alone(facts: readonly Fact[], query: Query, { ended }: Tick): Row[] {
  const { ofFact } = orderOf(query.sort);
  const chosen = ofFact === undefined ? facts : best(facts, query, ofFact);
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

function best(
  facts: readonly Fact[],
  { most, reverse }: Query,
  of: (fact: Fact) => number | null,
): readonly Fact[] {
  if (facts.length <= most) return facts;
  const sign = reverse ? -1 : 1;
  // Unknown values are last, and first the other way round.
  const values = Float64Array.from(facts, (fact) => sign * (of(fact) ?? -1));
  const least = values.toSorted()[facts.length - most]!;
  const above = facts.filter((_, i) => values[i]! > least);
  const equal = facts.filter((_, i) => values[i] === least);
  return [...above, ...equal.slice(0, most - above.length)];
}
