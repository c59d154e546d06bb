/**
 * Values as JSON and back, every one of them checked: a file may have been made by anybody. Written as bytes: to put a
 * line together of strings takes much longer. Pure.
 */

import { Lines, segment } from "../output/lines.ts";
import type { Piece } from "../output/straight/template.ts";

export interface Codec<T> {
  /** As JSON. */
  write(lines: Lines, value: T): void;
  /** `undefined`: this is no such value. */
  read(json: unknown): T | undefined;
}

/** Also what is not well-formed: JSON.stringify writes a lone surrogate as an escape. */
export const text: Codec<string> = {
  write: (lines, value) => lines.text(JSON.stringify(value)),
  read: (json) => (typeof json === "string" ? json : undefined),
};

/** A text that `is` accepts. */
export const textLike = (is: (value: string) => boolean): Codec<string> => ({
  write: text.write,
  read: (json) => (typeof json === "string" && is(json) ? json : undefined),
});

export const oneOf = <T extends string | number>(values: readonly T[]): Codec<T> => ({
  write: (lines, value) => lines.text(JSON.stringify(value)),
  read: (json) => values.find((value) => value === json),
});

/** A whole number from `min` to `max`; `min` is not below 0. */
export const integer = (max: number, min = 0): Codec<number> => ({
  write: (lines, value) => lines.integer(value),
  read: (json) =>
    typeof json === "number" && Number.isInteger(json) && json >= min && json <= max
      ? json
      : undefined,
});

const U64_MAX = (1n << 64n) - 1n;
const QUOTE = segment('"');
const NULL = segment("null");
const [OPEN, CLOSE] = [segment("{"), segment("}")];

/** In decimal digits, since a number would be rounded; from `min` to 2^64 - 1. */
export const integer64 = (min = 0n): Codec<bigint> => ({
  write(lines, value) {
    lines.segment(QUOTE);
    if (value >= 0n) lines.count64(value);
    else lines.text(value.toString());
    lines.segment(QUOTE);
  },
  read: (json) => {
    if (typeof json !== "string" || !/^(0|-?[1-9]\d{0,19})$/.test(json)) return undefined;
    const value = BigInt(json);
    return value >= min && value <= U64_MAX ? value : undefined;
  },
});

export const orNull = <T>(of: Codec<T>): Codec<T | null> => ({
  write: (lines, value) => (value === null ? lines.segment(NULL) : of.write(lines, value)),
  read: (json) => (json === null ? null : of.read(json)),
});

export const texts: Codec<string[]> = {
  write: (lines, values) => lines.text(JSON.stringify(values)),
  read: (json) =>
    Array.isArray(json) && json.every((value) => typeof value === "string") ? json : undefined,
};

/** The optional members of an object of this type. */
type OptionalOf<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];

export interface ObjectCodec<T> extends Codec<T> {
  /** In the order in which they are written. */
  readonly names: readonly (keyof T)[];
  /** Writes the members, without the braces around them. */
  members(lines: Lines, value: T): void;
  /** The same as pieces. `hole`: those of the value at `local.port`, where it differs from line to line. */
  pieces(value: T, hole: (path: string) => readonly Piece[] | undefined, inside?: string): Piece[];
}

/** Every member has a codec, which the compiler sees to. Members it does not know are ignored: a later version's. */
export function object<T extends object>(
  codecs: { [K in keyof T]-?: Codec<Exclude<T[K], undefined>> },
  ...optional: OptionalOf<T>[]
): ObjectCodec<T> {
  const known = Object.entries(codecs).map(([name, of]) => ({
    name,
    first: segment(`${JSON.stringify(name)}:`),
    next: segment(`,${JSON.stringify(name)}:`),
    of: of as Codec<unknown>,
    optional: (optional as string[]).includes(name),
  }));
  const members = (lines: Lines, value: T): void => {
    let some = false;
    for (let n = 0; n < known.length; n++) {
      const { name, first, next, of } = known[n]!;
      const member = value[name as keyof T];
      if (member === undefined) continue;
      lines.segment(some ? next : first);
      of.write(lines, member);
      some = true;
    }
  };
  return {
    names: known.map(({ name }) => name as keyof T),
    members,
    pieces(value, hole, inside = "") {
      const pieces: Piece[] = [];
      for (const { name, of } of known) {
        const member = value[name as keyof T] as unknown;
        if (member === undefined) continue;
        pieces.push(`${pieces.length === 0 ? "" : ","}${JSON.stringify(name)}:`);
        const path = `${inside}${name}`;
        if ("pieces" in of)
          pieces.push("{", ...(of as ObjectCodec<unknown>).pieces(member, hole, `${path}.`), "}");
        else if (member !== null && hole(path) !== undefined) pieces.push(...hole(path)!);
        else pieces.push(textOf((lines) => of.write(lines, member)));
      }
      return pieces;
    },
    write(lines, value) {
      lines.segment(OPEN);
      members(lines, value);
      lines.segment(CLOSE);
    },
    read(json) {
      if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
      const value: Record<string, unknown> = {};
      for (const { name, of, optional: mayLack } of known) {
        if (!Object.hasOwn(json, name)) {
          if (mayLack) continue;
          return undefined;
        }
        const member = of.read(json[name as keyof typeof json]);
        if (member === undefined) return undefined;
        value[name] = member;
      }
      return value as T;
    },
  };
}

/** The written lines as a text: for lines that are written seldom. */
export function textOf(write: (lines: Lines) => void): string {
  const lines = new Lines();
  write(lines);
  return Buffer.from(lines.take().bytes).toString();
}
