/** The rows of an interval: its connections, put together and sorted. Pure. */
import type { ConnEvent } from "../conn/event.ts";
import { orders, rateOrder } from "./columns.ts";
import type { Ended } from "./ended.ts";
import type { Fact, Tick } from "./facts.ts";
import { groupingOf, partText, type TopGrouping } from "./groupings.ts";
import { Places, type Name } from "./places.ts";
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

export function rowsOf(tick: Tick, query: Query, places = new Places(query.by)): Found {
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
  const all = together(facts, query, tick, places);
  const some =
    wanted === null ? all.used : all.used.filter((place) => wanted(all.rows[place]!.event));
  const rows = mostOf(all, some, query).map((place) => rowAt(all, place));
  return { rows: inOrder(rows, query), count: some.length };
}

/** The same, made once for a tick and a query: a screen asks for the rows of its rates as well, and again at each key. */
export function rowsKept(): (tick: Tick, query: Query) => Found {
  let last: { tick: Tick; query: Query; found: Found } | null = null;
  let kept: { by: TopGrouping; places: Places } | null = null;
  return (tick, query) => {
    const isSame =
      last !== null &&
      last.tick === tick &&
      (Object.keys(query) as (keyof Query)[]).every((name) => last!.query[name] === query[name]);
    if (isSame) return last!.found;
    const { by } = query;
    if (kept?.by !== by) kept = { by, places: new Places(by) };
    const found = rowsOf(tick, query, kept.places);
    if (kept.places.isWorn(found.count)) kept = null;
    last = { tick, query, found };
    return found;
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

/** A row of several connections. */
class Group implements Row {
  readonly sums = noSums();
  event: ConnEvent;
  readonly #name: Name;
  #busiest = -1;

  constructor(name: Name, event: ConnEvent) {
    this.#name = name;
    this.event = event;
  }

  get key(): string {
    return keyText(this.#name);
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

/** Of a hundred thousand rows most are of one connection and are not seen: such a row is its fact until it is. */
interface Rows {
  places: Places;
  /** By place. */
  rows: (Group | Fact | undefined)[];
  /** Places at which there is a row. */
  used: number[];
}

function together(
  facts: readonly Fact[],
  { by, ended, within }: Query,
  tick: Tick,
  places: Places,
): Rows {
  const rows: Rows["rows"] = Array.from({ length: places.names.length });
  const all: Rows = { places, rows, used: [] };
  for (const fact of facts) {
    const place = places.of(fact);
    if (rows[place] === undefined) add(all, place, fact);
    else groupAt(all, place).add(fact);
  }
  // In which row of another grouping an ended connection was is not known.
  if (within === null || within.by === by)
    for (const [name, { event, totals }] of tick.ended.of(by)) {
      if (within !== null && within.key !== keyText(name)) continue;
      const place = places.find(name);
      const isThere = place !== undefined && rows[place] !== undefined;
      if (!isThere && !ended) continue;
      const at = place ?? places.named(name);
      if (!isThere) add(all, at, new Group(name, event));
      addEnded(groupAt(all, at).sums, totals);
    }
  return all;
}

function add({ rows, used }: Rows, place: number, row: Group | Fact): void {
  rows[place] = row;
  used.push(place);
}

/** The row at this place, which is a group from now on. */
function groupAt({ places, rows }: Rows, place: number): Group {
  const row = rows[place]!;
  if (row instanceof Group) return row;
  const group = new Group(places.names[place]!, row.event);
  group.add(row);
  rows[place] = group;
  return group;
}

function rowAt(all: Rows, place: number): Row {
  const { key, event, sums } = groupAt(all, place);
  return { key, event, sums };
}

/** The places of those among `places` that have a chance to be seen. */
function mostOf(all: Rows, places: readonly number[], query: Query): readonly number[] {
  if (places.length <= query.most) return places;
  const { order, ofFact } = orderOf(query.sort);
  const { rows } = all;
  // Text: no number is the least of them. To ask for the sums of a single connection would make them.
  if (ofFact === undefined) return places;
  const valueOf = (place: number): number | null => {
    const row = rows[place]!;
    return row instanceof Group ? (order(row) as number | null) : ofFact(row);
  };
  const openOf = (place: number): number => {
    const row = rows[place]!;
    return row instanceof Group ? row.sums.open : Number(row.open);
  };
  return best(places, query, valueOf, (equal, rest) => best(equal, rest, openOf));
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

/** The `most` of them, by their values; of those that are equal the first, or those that `among` chooses. */
function best<T>(
  items: readonly T[],
  { most, reverse }: Pick<Query, "most" | "reverse">,
  valueOf: (item: T) => number | null,
  among = (equal: readonly T[], rest: Pick<Query, "most" | "reverse">): readonly T[] =>
    equal.slice(0, rest.most),
): readonly T[] {
  if (items.length <= most) return items;
  const sign = reverse ? -1 : 1;
  const numbers = new Float64Array(items.length);
  // Unknown values are last, and first the other way round.
  for (let n = 0; n < items.length; n++) numbers[n] = sign * (valueOf(items[n]!) ?? -1);
  const least = numbers.toSorted()[items.length - most]!;
  const above: T[] = [];
  const equal: T[] = [];
  for (let n = 0; n < items.length; n++) {
    if (numbers[n]! > least) above.push(items[n]!);
    else if (numbers[n] === least) equal.push(items[n]!);
  }
  return [...above, ...among(equal, { most: most - above.length, reverse })];
}
