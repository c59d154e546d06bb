/**
 * The busiest functions without loops, put together when they are first needed: unrolled they take two thirds of the time.
 * Their source is made of numbers and names of our own tables alone; nothing that comes from outside is ever part of it.
 */
import type { ConnEvent } from "../../conn/event.ts";

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

// --- internal ---

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
