/** Expectations: conditions on the members of JSON lines, and the record of those that events have met. Pure. */

import type { ConnEvent } from "../conn/event.ts";
import type { Member } from "../members/table.ts";

export type Operator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "~";

export interface Condition {
  member: Member;
  operator: Operator;
  /** Of the member's type, or a set of such values; a pattern for `~`. `null`: not known, or the event has no such member. */
  value: Comparable | RegExp | AnyOf | null;
}

export type Comparable = bigint | string;

/** Networks, or ranges of ports. */
export interface AnyOf {
  has(actual: Comparable): boolean;
}

/** All conditions are to be met by one event. */
export interface Expectation {
  /** As it was typed. */
  text: string;
  conditions: readonly Condition[];
}

/** An unknown value meets nothing but `==null`. Numbers are compared exactly. */
export function meets(condition: Condition, event: ConnEvent, wallNs: bigint): boolean {
  const { operator, value } = condition;
  const actual = valueOf(condition, event, wallNs);
  if (value === null) return (actual === null) === (operator === "==");
  return actual !== null && comparisons[operator](actual, value);
}

/** An expectation that no event has met, and what came closest. */
export interface Unmet {
  expectation: Expectation;
  /** The most conditions that one event has met, and how many events have met as many. */
  met: number;
  events: number;
  /** The values of the event that did not meet a condition, `remote.port 80`; a few different ones. Raw text: to be escaped. */
  instead: readonly string[];
}

/** Watches events until each expectation has been met by one of them, not necessarily the same. */
export class Expected {
  #open: Unmet[];
  #seen = 0;

  constructor(expectations: readonly Expectation[]) {
    this.#open = expectations.map(untouched);
  }

  /** `times`: so many events that are the same to all conditions. */
  see(event: ConnEvent, wallNs: bigint, times = 1): void {
    this.#seen += times;
    if (this.#open.length > 0)
      this.#open = this.#open.flatMap((unmet) => after(unmet, event, wallNs, times) ?? []);
  }

  /** How many events there were. */
  get seen(): number {
    return this.#seen;
  }

  get unmet(): readonly Unmet[] {
    return this.#open;
  }

  /** Whether nothing is left to wait for. */
  get met(): boolean {
    return this.#open.length === 0;
  }
}

/**
 * Of events that are told apart by the text of their lines, for Watch of src/output/straight: which of these are the same to
 * all conditions. In which order they come does not matter once the first of each has come: see `after`.
 */
export function watchOf(expected: Pick<Expected, "see">, expectations: readonly Expectation[]) {
  const varying = expectations
    .flatMap(({ conditions }) => conditions)
    .map(({ member }) => member)
    .filter(({ brief, hole }) => brief === undefined && hole !== undefined);
  const isRemote = ({ hole }: Member) => hole?.form === "address";
  const others = varying.filter((member) => !isRemote(member));
  return {
    byRemote: varying.some(isRemote),
    /** Of a member that the event lacks all of them lack it. */
    isSure: (event: ConnEvent): boolean =>
      others.every((member) => (member.of(event, 0n) ?? null) === null),
    saw: (event: ConnEvent, times: number): void => expected.see(event, 0n, times),
  };
}

// --- internal ---

/** The parser has seen to it that both sides are of one type, and that a pattern stands only behind `~`. */
const comparisons: Readonly<
  Record<Operator, (actual: Comparable, value: Comparable | RegExp | AnyOf) => boolean>
> = {
  "==": isAmong,
  "!=": (actual, value) => !isAmong(actual, value),
  "<": (actual, value) => actual < value,
  "<=": (actual, value) => actual <= value,
  ">": (actual, value) => actual > value,
  ">=": (actual, value) => actual >= value,
  "~": (actual, value) => value instanceof RegExp && value.test(String(actual)),
};

function isAmong(actual: Comparable, value: Comparable | RegExp | AnyOf): boolean {
  return typeof value === "object" && "has" in value ? value.has(actual) : actual === value;
}

/** As the JSON line shows it. */
function valueOf({ member }: Condition, event: ConnEvent, wallNs: bigint): Comparable | null {
  const value = (member.brief?.of ?? member.of)(event, wallNs) ?? null;
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "boolean") return `${value}`;
  return value === null ? null : BigInt(value);
}

const untouched = (expectation: Expectation): Unmet => ({
  expectation,
  met: 0,
  events: 0,
  instead: [],
});

const MANY = 5;

/** `null`: the event has met it. */
function after(before: Unmet, event: ConnEvent, wallNs: bigint, times: number): Unmet | null {
  const { expectation } = before;
  const missed = expectation.conditions.filter((condition) => !meets(condition, event, wallNs));
  if (missed.length === 0) return null;
  const met = expectation.conditions.length - missed.length;
  if (met < before.met) return before;
  const { events, instead } = met > before.met ? untouched(expectation) : before;
  if (instead.length >= MANY) return { expectation, met, events: events + times, instead };
  const found = missed.map((condition) => {
    const value = valueOf(condition, event, wallNs);
    return `${condition.member.name} ${value === null ? "not known" : value}`;
  });
  return {
    expectation,
    met,
    events: events + times,
    instead: [...new Set([...instead, ...found])].slice(0, MANY),
  };
}
