/** Values as JSON and back, every one of them checked: a file may have been made by anybody. Pure. */

export interface Codec<T> {
  /** As JSON. */
  write(value: T): string;
  /** `undefined`: this is no such value. */
  read(json: unknown): T | undefined;
}

/** Also what is not well-formed: JSON.stringify writes a lone surrogate as an escape. */
export const text: Codec<string> = {
  // Nearly all are plain, and JSON.stringify takes many times as long.
  write: (value) => (/^[ !#-[\]-~]*$/.test(value) ? `"${value}"` : JSON.stringify(value)),
  read: (json) => (typeof json === "string" ? json : undefined),
};

/** A text that `is` accepts, which nothing with a quote in it is. */
export const textLike = (is: (value: string) => boolean): Codec<string> => ({
  write: (value) => `"${value}"`,
  read: (json) => (typeof json === "string" && is(json) ? json : undefined),
});

/** The texts are plain words. */
export const oneOf = <T extends string | number>(values: readonly T[]): Codec<T> => ({
  write: (value) => (typeof value === "string" ? `"${value}"` : `${value}`),
  read: (json) => values.find((value) => value === json),
});

/** A whole number from `min` to `max`. */
export const integer = (max: number, min = 0): Codec<number> => ({
  write: (value) => `${value}`,
  read: (json) =>
    typeof json === "number" && Number.isInteger(json) && json >= min && json <= max
      ? json
      : undefined,
});

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const U64_MAX = (1n << 64n) - 1n;

/** In decimal digits, since a number would be rounded; from `min` to 2^64 - 1. */
export const integer64 = (min = 0n): Codec<bigint> => ({
  // As a number where that is exact: of a bigint it takes longer.
  write: (value) => `"${value <= MAX_SAFE && value >= 0n ? Number(value) : value}"`,
  read: (json) => {
    if (typeof json !== "string" || !/^(0|-?[1-9]\d{0,19})$/.test(json)) return undefined;
    const value = BigInt(json);
    return value >= min && value <= U64_MAX ? value : undefined;
  },
});

export const orNull = <T>(of: Codec<T>): Codec<T | null> => ({
  write: (value) => (value === null ? "null" : of.write(value)),
  read: (json) => (json === null ? null : of.read(json)),
});

export const listOf = <T>(of: Codec<T>): Codec<T[]> => ({
  write: (values) => `[${values.map(of.write).join(",")}]`,
  read: (json) => {
    if (!Array.isArray(json)) return undefined;
    const values = json.map(of.read).filter((value) => value !== undefined);
    return values.length === json.length ? values : undefined;
  },
});

/** What may be left out of an object of this type. */
type OptionalOf<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];

/** Every member has a codec, which the compiler sees to. Members it does not know are ignored: a later version's. */
export function object<T extends object>(
  codecs: { [K in keyof T]-?: Codec<Exclude<T[K], undefined>> },
  ...optional: OptionalOf<T>[]
): Codec<T> {
  const members = Object.entries(codecs).map(([name, of]) => ({
    name,
    key: `${JSON.stringify(name)}:`,
    of: of as Codec<unknown>,
    optional: (optional as string[]).includes(name),
  }));
  return {
    write(value) {
      let written = "{";
      for (let n = 0; n < members.length; n++) {
        const { name, key, of } = members[n]!;
        const member = value[name as keyof T];
        if (member !== undefined)
          written += (written.length === 1 ? key : `,${key}`) + of.write(member);
      }
      return `${written}}`;
    },
    read(json) {
      if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
      const value: Record<string, unknown> = {};
      for (const { name, of, optional: mayLack } of members) {
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
