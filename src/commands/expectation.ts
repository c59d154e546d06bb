/** From what is typed behind --expect to conditions. Pure. */

import { UsageError } from "../errors.ts";
import { addressAsShown } from "../record/address.ts";
import { within, type Cidr } from "../filter/cidr.ts";
import type { AnyOf, Condition, Expectation, Operator } from "../filter/expect.ts";
import { boundedPattern } from "../filter/pattern.ts";
import { members, objectOf, type Member } from "../members/table.ts";
import { network, portRange } from "./filter_values.ts";
import { nearest } from "./nearest.ts";
import { Wrong } from "./wrong.ts";

/** `event==close,remote.port==443`: conditions on one event. A comma with a name and an operator behind it begins the next. */
export function parseExpectation(text: string, command: string): Expectation {
  const parts = text.split(/,(?=\s*[A-Za-z][\w.]*\s*[=!<>~])/);
  const conditions = parts.map((part) => {
    const condition = parseCondition(part.trim());
    if (condition instanceof Wrong) throw refused(condition, command);
    return condition;
  });
  for (const { member, value } of conditions) {
    const kind = conditions.find((one) => one.member.name === "event" && one.operator === "==");
    if (member.on === undefined || value === null || typeof kind?.value !== "string") continue;
    if ([...member.on.always, ...member.on.sometimes].some((on) => on === kind.value)) continue;
    const instead = text.replace(/event\s*==\s*\w+/, `event==${member.on.always[0]}`);
    const why = `events of kind ${kind.value} have no ${member.name}`;
    throw refused(new Wrong(`"${text}" can never be met`, why, instead), command);
  }
  return { text, conditions };
}

// --- internal ---

function refused({ what, why, instead }: Wrong, command: string): UsageError {
  const suggestion = instead === null ? null : `--expect '${instead}'`;
  return new UsageError(`flag --expect: ${what}`, { command, why, suggestion });
}

const names = members.map(({ name }) => name);

const operators: readonly Operator[] = ["==", "!=", "<=", ">=", "<", ">", "~"];

const operatorsOf: Readonly<
  Record<Member["type"], { what: string; operators: readonly Operator[] }>
> = {
  integer: { what: "a number", operators: ["==", "!=", "<", "<=", ">", ">="] },
  string: { what: "a text", operators: ["==", "!=", "~"] },
  object: { what: "an object or none", operators: ["==", "!="] },
};

/** Operators that other languages write for the same. */
const misspelt: Readonly<Record<string, Operator>> = {
  "=": "==",
  "=~": "~",
  "~=": "~",
  "=<": "<=",
  "=>": ">=",
};

function parseCondition(text: string): Condition | Wrong {
  const [, name = "", written = "", operand = ""] =
    /^([A-Za-z][\w.]*)\s*([=!<>~]+)\s*(.*)$/s.exec(text) ?? [];
  if (name === "")
    return new Wrong(
      `"${text}" is no condition`,
      "it is the name of a member of the JSON lines, an operator and a value",
      "event==close,remote.port==443",
    );
  const member = members.find((one) => one.name === name);
  if (member === undefined) {
    const near =
      nearest(name, names) ?? names.find((one) => one.endsWith(`remote.${name}`)) ?? null;
    return new Wrong(
      `no member "${name}"`,
      `they are ${names.join(", ")}`,
      near === null ? null : `${near}${written}${operand}`,
    );
  }
  const operator = operators.find((one) => one === written);
  if (operator === undefined)
    return new Wrong(
      `"${written}" is no operator`,
      `they are ${operators.join(" ")}`,
      `${name}${misspelt[written] ?? "=="}${operand}`,
    );
  const joined = /\s*(?:&&|\band\b|;)\s*(?=[A-Za-z][\w.]*\s*[=!<>~])/;
  if (joined.test(operand))
    return new Wrong(
      `"${text}" is no condition`,
      "conditions on one event have a comma between them",
      text.replace(joined, ","),
    );
  const value = valueFor(member, operator, operand);
  if (!(value instanceof Wrong)) return { member, operator, value };
  return new Wrong(`"${text}" compares ${name} ${value.what}`, value.why, value.instead);
}

/** 2^64 - 1 has so many digits. */
const MAX_DIGITS = 20;

function valueFor(member: Member, operator: Operator, text: string): Condition["value"] | Wrong {
  const { name, type, nullable, on, orFalse } = member;
  const objects = [...(orFalse ? ["false"] : []), "true"];
  const values = member.brief?.values ?? (type === "object" ? objects : member.values);
  if (text === "") return new Wrong("with nothing", "a value stands behind the operator");
  const isEquality = operator === "==" || operator === "!=";
  if (text === "null" && isEquality) {
    if (nullable === true || on !== undefined || objectOf(member) !== undefined) return null;
    return new Wrong("with null", "it is known of every event");
  }
  if (!operatorsOf[type].operators.includes(operator))
    return new Wrong(
      `by ${operator}`,
      `it is ${operatorsOf[type].what}: ${operatorsOf[type].operators.join(" ")}`,
      `${name}==${type === "object" ? values?.at(-1) : text}`,
    );
  if (operator === "~") {
    const pattern = boundedPattern(text);
    return typeof pattern === "string"
      ? new Wrong("with a pattern that is refused", pattern)
      : pattern;
  }
  const set = isEquality ? setFor(name, text) : null;
  if (set !== null) return set;
  if (type === "integer" && !(/^\d+$/.test(text) && text.length <= MAX_DIGITS))
    return new Wrong(
      `with "${text}"`,
      "it is a whole number",
      `${name}${operator}${/^\d+/.exec(text)?.[0] ?? 0}`,
    );
  if (values !== undefined && isEquality && !values.some((one) => String(one) === text)) {
    const known = values.map(String);
    const near = nearest(text, known);
    return new Wrong(
      `with "${text}"`,
      `it is one of ${known.join(", ")}`,
      near === null ? null : `${name}${operator}${near}`,
    );
  }
  if (type === "integer") return BigInt(text);
  if (!name.endsWith(".address")) return text;
  return (
    addressAsShown(text) ??
    new Wrong(
      `with "${text}"`,
      "it is an IPv4 or IPv6 address, or a network; ~ compares with a pattern",
    )
  );
}

/** Networks, `10.0.0.0/8,fd00::/8`, and ranges of ports, `80,8000-8100`; `null`: `text` is no set. */
function setFor(name: string, text: string): AnyOf | Wrong | null {
  const items = text.split(",");
  if (name.endsWith(".address") && /[/,]/.test(text)) {
    const networks = items.map(network);
    const wrong = networks.find((one) => one instanceof Wrong);
    if (wrong !== undefined) return new Wrong(`with "${text}": ${wrong.what}`, wrong.why);
    return { has: (actual) => within(networks as Cidr[], String(actual)) };
  }
  if (!name.endsWith(".port") || !/^[\d,-]*[,-][\d,-]*$/.test(text)) return null;
  const ranges = items.map(portRange);
  const wrong = ranges.find((one) => one instanceof Wrong);
  if (wrong !== undefined) return new Wrong(`with "${text}": ${wrong.what}`, wrong.why);
  const of = ranges as [first: number, last: number][];
  return {
    has: (port) => of.some(([first, last]) => Number(port) >= first && Number(port) <= last),
  };
}
