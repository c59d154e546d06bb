/** The check of the options that a program passes to the library: TypeScript's types are not there at run time. Pure. */

/** Returns what the value must be, or `null` if it is that. */
export type Rule = (value: unknown) => string | null;

export const flag: Rule = (value) => (typeof value === "boolean" ? null : "true or false");

export const oneOf =
  (...allowed: readonly string[]): Rule =>
  (value) =>
    allowed.includes(value as string)
      ? null
      : allowed.map((one) => JSON.stringify(one)).join(" or ");

export const number =
  (least: number, most: number): Rule =>
  (value) =>
    typeof value === "number" && value >= least && value <= most
      ? null
      : `a number from ${least} to ${most}`;

export const whole =
  (least: number, most: number): Rule =>
  (value) =>
    Number.isInteger(value) && number(least, most)(value) === null
      ? null
      : `a whole number from ${least} to ${most}`;

/** Throws a RangeError that names the function and the option. An option that is undefined is not given. */
export function checkOptions(
  of: string,
  options: unknown,
  rules: Readonly<Record<string, Rule>>,
): void {
  if (typeof options !== "object" || options === null)
    throw new RangeError(`${of}: the options are ${shown(options)}, they must be an object`);
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined)
      throw new RangeError(
        `${of}: there is no option ${name}; there are ${Object.keys(rules).join(", ")}`,
      );
    const must = value === undefined ? null : rule(value);
    if (must !== null)
      throw new RangeError(`${of}: ${name} is ${shown(value)}, it must be ${must}`);
  }
}

// --- internal ---

/** Briefly: an object may be large, or hold itself. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
