/**
 * Whether parsed JSON has a shape: the files of the guess come from anybody. A check throws a Refusal that names the member.
 * Pure.
 */

/** `at` is where the value stands, `fields[0].how`; "": it is the whole. */
export type Check = (value: unknown, at: string) => void;

/** The fault, as a sentence: `fields is no list`. */
export class Refusal extends Error {}

export function refuse(at: string, what: string): never {
  throw new Refusal(`${at === "" ? "it" : at} ${what}`);
}

export const text: Check = (value, at) =>
  void (typeof value === "string" || refuse(at, "is no text"));

export const textUpTo =
  (most: number): Check =>
  (value, at) => {
    text(value, at);
    if ((value as string).length > most) refuse(at, `is longer than ${most} characters`);
  };

export const number: Check = (value, at) =>
  void ((typeof value === "number" && value >= 0) || refuse(at, "is no number from 0 on"));

export const u64: Check = (value, at) =>
  void ((typeof value === "bigint" && value >= 0n && value < 1n << 64n) || refuse(at, "is no u64"));

export const whole: Check = (value, at) =>
  void (
    (Number.isSafeInteger(value) && (value as number) >= 0) ||
    refuse(at, "is no whole number")
  );

export const bytes: Check = (value, at) =>
  void (value instanceof Uint8Array || refuse(at, "is no bytes"));

export const bytesOf =
  (...lengths: number[]): Check =>
  (value, at) =>
    void (
      (value instanceof Uint8Array && lengths.includes(value.length)) ||
      refuse(at, `is no ${lengths.join(" or ")} bytes`)
    );

export const nullable =
  (check: Check): Check =>
  (value, at) =>
    value === null ? undefined : check(value, at);

export const optional =
  (check: Check): Check =>
  (value, at) =>
    value === undefined ? undefined : check(value, at);

export const oneOf =
  (...allowed: readonly unknown[]): Check =>
  (value, at) =>
    void (allowed.includes(value) || refuse(at, `is none of ${allowed.join(", ")}`));

export const list =
  (check: Check, most = Infinity): Check =>
  (value, at) => {
    if (!Array.isArray(value)) return refuse(at, "is no list");
    if (value.length > most) refuse(at, `has ${value.length} entries, more than ${most}`);
    for (const [n, item] of value.entries()) check(item, `${at}[${n}]`);
  };

/** Members that it does not know are left alone. */
export const object =
  (members: Readonly<Record<string, Check>>): Check =>
  (value, at) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return refuse(at, "is no object");
    for (const [name, check] of Object.entries(members))
      check(
        Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined,
        at === "" ? name : `${at}.${name}`,
      );
  };

/** An object that has no other members. */
export const objectOnly = (members: Readonly<Record<string, Check>>): Check => {
  const known = object(members);
  return (value, at) => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      const unknown = Object.keys(value).find((name) => !Object.hasOwn(members, name));
      if (unknown !== undefined) refuse(at, `has an unknown member "${unknown}"`);
    }
    known(value, at);
  };
};
