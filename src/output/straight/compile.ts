/**
 * The busiest functions without loops, put together when they are first needed: unrolled they take two thirds of the time.
 * Their source is made of numbers and names of our own tables alone; nothing that comes from outside is ever part of it.
 */
import type { ConnEvent } from "../../conn/event.ts";
import { putId, putIdAt } from "../../record/id.ts";
import { putInteger, putSegment, type Segment } from "../lines.ts";
import { microseconds } from "../numbers.ts";
import type { Slot } from "./slots.ts";
import { Form, type Op } from "./template.ts";

/** Whether the words of a record are those of a key that begins at `from` of `keys`. */
export type SameWords = (keys: Int32Array, from: number, view: DataView, p: number) => boolean;

/** `places`: where the words lie; `masks`: which of their bits belong to the key. */
export function sameWords(places: Int32Array, masks: Int32Array): SameWords {
  const differences = Array.from(places, (at, n) => {
    const word = `view.getInt32(p + ${number(at)}, true)`;
    const masked = masks[n] === -1 ? word : `(${word} & ${number(masks[n]!)})`;
    return `(keys[from + ${n}] ^ ${masked})`;
  });
  const source = `return (${differences.join(" | ")}) === 0;`;
  return compiled(["keys", "from", "view", "p"], source) as SameWords;
}

/** Where a value stands: in an object of the event, or where `outer` is empty in the event itself. */
export interface Place {
  outer: string;
  inner: string;
}

export interface EventKey {
  /** The values, then a number for each object of which some may be unknown: its bits, or -1 where there is no such object. */
  read(event: ConnEvent): unknown[];
  /** Whether `read` would give this key. */
  same(key: readonly unknown[], event: ConnEvent): boolean;
}

/** `unknown`: by object, the values of which only this is part of the key. */
export function eventKey(
  values: readonly Place[],
  unknown: ReadonlyMap<string, readonly string[]>,
): EventKey {
  const of = (outer: string) => `event${outer === "" ? "" : `.${identifier(outer)}`}`;
  const parts = [
    ...values.map(({ outer, inner }) => `${of(outer)}.${identifier(inner)}`),
    ...Array.from(unknown, ([outer, inners]) => {
      const bits = inners.map(
        (inner, n) => `((of.${identifier(inner)} ?? null) === null ? ${1 << n} : 0)`,
      );
      return `((of) => of === undefined ? -1 : ${bits.join(" | ")})(${of(outer)})`;
    }),
  ];
  const same = parts.map((part, n) => `key[${n}] === ${part}`);
  return {
    read: compiled(["event"], `return [${parts.join(", ")}];`) as EventKey["read"],
    same: compiled(
      ["key", "event"],
      `return ${["true", ...same].join(" && ")};`,
    ) as EventKey["same"],
  };
}

/** Puts one op that has no number into the line. */
export type PutOther = (out: DataView, at: number, op: Op, remote: Segment) => number;

/** Puts `ops` one behind the other; -1: a value cannot be written here. */
export type PutRecord = (
  out: DataView,
  at: number,
  ops: readonly Op[],
  remote: Segment,
  view: DataView,
  p: number,
) => number;
export type PutEvent = (
  out: DataView,
  at: number,
  ops: readonly Op[],
  remote: Segment,
  event: ConnEvent,
) => number;

/** Of a record the numbers are read where they lie. */
export const putRecord = (ops: readonly Op[], other: PutOther): PutRecord =>
  known(records, ops, () =>
    putting(ops, other, ["view", "p"], valueAt, "putIdAt(out, to, view, p)"),
  ) as PutRecord;

export const putEvent = (ops: readonly Op[], other: PutOther): PutEvent =>
  known(events, ops, () =>
    putting(
      ops,
      other,
      ["event"],
      (_, n) => `Number(ops[${n}].slot.of(event))`,
      "putId(out, to, event.id)",
    ),
  ) as PutEvent;

// --- internal ---

/** By the sequence of holes; as many as are kept, of which a trace meets a few. */
const KEPT = 256;
const records = new Map<string, unknown>();
const events = new Map<string, unknown>();

function known(kept: Map<string, unknown>, ops: readonly Op[], make: () => unknown): unknown {
  const key = ops.map(({ form, slot, isLong }) => `${form} ${slot.at} ${isLong}`).join();
  let made = kept.get(key);
  if (made !== undefined) return made;
  made = make();
  if (kept.size >= KEPT) kept.clear();
  kept.set(key, made);
  return made;
}

function putting(
  ops: readonly Op[],
  other: PutOther,
  of: readonly string[],
  value: (slot: Slot, n: number) => string,
  id: string,
): unknown {
  const steps = ops.map(({ form, slot, isLong }, n) => {
    const text = isLong
      ? `op = ops[${n}]; to = putSegment(out, to, op.text);`
      : `op = ops[${n}]; out.setFloat64(to, op.first, true); out.setFloat64(to + 8, op.second, true); to += op.length;`;
    if (form === Form.address) return `${text} to = putSegment(out, to, remote);`;
    if (form === Form.id) return `${text} to = ${id}; if (to < 0) return -1;`;
    if (form !== Form.integer) return `${text} to = other(out, to, op, remote);`;
    const exact = slot.since < 0 ? "value" : "microseconds(value)";
    return `${text} value = ${value(slot, n)};
      if (value < ${number(slot.least)} || value > ${Number.MAX_SAFE_INTEGER}) return -1;
      to = putInteger(out, to, ${exact});`;
  });
  const source = `return (out, at, ops, remote, ${of.join(", ")}) => {
    let to = at, op, value;
    ${steps.join("\n")}
    return to;
  };`;
  const names = ["putSegment", "putInteger", "microseconds", "putId", "putIdAt", "other"];
  const make = compiled(names, source) as (...given: unknown[]) => unknown;
  return make(putSegment, putInteger, microseconds, putId, putIdAt, other);
}

function valueAt({ at, bytes, since }: Slot): string {
  const word = (place: number) => `view.getUint32(p + ${number(place)}, true)`;
  if (bytes === 4) return word(at);
  if (bytes === 2) return `view.getUint16(p + ${number(at)}, true)`;
  // The halves are subtracted apart: as a number a time grows inexact.
  const [low, high] =
    since < 0
      ? [word(at), word(at + 4)]
      : [`${word(at)} - ${word(since)}`, `(${word(at + 4)} - ${word(since + 4)})`];
  return `${low} + ${high} * 4294967296`;
}

function compiled(names: readonly string[], source: string): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval -- the only place; number() and identifier() check each part
  return new Function(...names, source);
}

/** The text of a number, for a source. */
function number(value: number): string {
  if (!Number.isSafeInteger(value)) throw new TypeError(`${value} is no whole number`);
  return `${value}`;
}

function identifier(name: string): string {
  if (!/^[a-z_]+$/i.test(name)) throw new TypeError(`${name} is no name of a member`);
  return name;
}
