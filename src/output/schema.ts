/** The JSON Schema of `trace --json`, from the table that its lines are written by. Pure. */

import type { EventKind, Protocol } from "../conn/event.ts";
import {
  eventKinds,
  lostMembers,
  members,
  protocols,
  VERSION,
  type Described,
  type Member,
} from "../members/table.ts";

export interface Schema {
  readonly [keyword: string]: unknown;
}

/**
 * Members that are not named are allowed: newer versions add some without raising `v`. The kind and the protocol of an
 * event decide which members it has.
 */
export function eventSchema(): Schema {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: `tracer-bpf trace --json, one line (v ${VERSION})`,
    description:
      "null means: not known. Integers are exact and go up to 2^64 - 1: read them without rounding.",
    // No object is both: the values of `event` differ.
    anyOf: [
      {
        title: "an event of a connection",
        ...objectOf(members),
        allOf: eventKinds.flatMap((kind) =>
          protocols.map((protocol) => ({
            if: { properties: { event: { const: kind }, protocol: { const: protocol } } },
            // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
            then: restOf(kind, protocol),
          })),
        ),
      },
      { title: "events that were lost", ...objectOf(lostMembers) },
    ],
  };
}

// --- internal ---

type Varying = Described & Pick<Member, "on">;

/** `local.port` becomes a property of the object `local`. */
function objectOf(of: readonly Varying[]): Schema {
  const properties: Record<string, Schema> = {};
  const required = new Set<string>();
  const leftOut = new Set(of.filter(({ on }) => on !== undefined).map(({ name }) => name));
  for (const member of of) {
    const [outer = "", inner] = member.name.split(".");
    if (inner !== undefined) properties[outer] ??= objectOf(insideOf(outer, of));
    else if (member.type === "object") properties[outer] = objectOr(member, of);
    else properties[outer] = valueOf(member);
    if (member.on === undefined && !leftOut.has(outer)) required.add(outer);
  }
  return { type: "object", properties, required: [...required] };
}

const insideOf = (outer: string, of: readonly Varying[]): Varying[] =>
  of
    .filter(({ name }) => name.startsWith(`${outer}.`))
    .map((member) => ({ ...member, name: member.name.slice(outer.length + 1) }));

/** An object that can be missing. */
function objectOr({ name, description, nullable, orFalse }: Varying, of: readonly Varying[]) {
  const instead = [...(nullable ? [null] : []), ...(orFalse ? [false] : [])];
  if (instead.length === 0) return { description, ...objectOf(insideOf(name, of)) };
  return { description, anyOf: [{ enum: instead }, objectOf(insideOf(name, of))] };
}

function valueOf({ description, type, values, nullable }: Described): Schema {
  const range = type === "integer" && values === undefined ? { minimum: 0 } : {};
  return {
    description,
    type: nullable ? [type, "null"] : type,
    ...(values === undefined ? range : { enum: nullable ? [...values, null] : values }),
  };
}

/** The members that an event of this kind must have, or never has. Members that every event has are left out. */
function restOf(kind: EventKind, protocol: Protocol): Schema {
  const varying = members.flatMap(({ name, on, protocol: only = protocol }) =>
    on === undefined ? [] : [{ name, on: only === protocol ? on : NEVER }],
  );
  const never = varying.filter(({ on }) => ![...on.always, ...on.sometimes].includes(kind));
  return {
    required: varying.filter(({ on }) => on.always.includes(kind)).map(({ name }) => name),
    properties: Object.fromEntries(never.map(({ name }) => [name, false])),
  };
}

const NEVER: NonNullable<Member["on"]> = { always: [], sometimes: [] };
