/** The generated table of docs/fields.md: the members of a JSON line, from the table that its lines are written by. Pure. */

import {
  eventKinds,
  lostMembers,
  members,
  objectOf,
  type Described,
  type Member,
  type Names,
} from "../members/table.ts";
import { code, table } from "./markdown.ts";

/** In the order in which they are written. A member that only the object for lost events has comes last. */
export function fieldsTable(): string {
  const isOfEvents = ({ name }: Described) => members.some((member) => member.name === name);
  const isOfLosses = ({ name }: Described) => lostMembers.some((member) => member.name === name);
  return `${table(
    ["member", "events that have it", "OpenTelemetry", "ECS"],
    [
      ...members.map((member) => {
        const also = isOfLosses(member) ? `, ${code("lost")}` : "";
        return [code(member.name), `${eventsOf(member)}${also}`, ...inOthers(member.names)];
      }),
      ...lostMembers
        .filter((member) => !isOfEvents(member))
        .map(({ name, names }) => [code(name), code("lost"), ...inOthers(names)]),
    ],
  )}\n`;
}

// --- internal ---

const inOthers = ({ openTelemetry, ecs }: Names): string[] => [openTelemetry, ecs];

function eventsOf(member: Member): string {
  const { on, protocol } = member;
  const outer = objectOf(member);
  if (outer !== undefined) return `those whose ${code(outer.name)} is an object`;
  if (on === undefined) return "all";
  const kinds = [
    ...on.always.map((kind) => `each ${code(kind)}`),
    ...(on.sometimes.length === eventKinds.length
      ? ["some of all kinds"]
      : on.sometimes.map((kind) => `some ${code(kind)}`)),
  ];
  return `${kinds.join(", ")}${protocol === undefined ? "" : ` of ${protocol.toUpperCase()}`}`;
}
