/**
 * The plain numbers that the kernel side tells of a process. To add one: a line in struct owner (bpf/record.h), a line where
 * an owner is filled (bpf/process/owner.h, and src/kernel/owners.ts for /proc), and a row here. Types and tests miss each.
 * Pure.
 */
import type { Owner } from "../record/layout.gen.ts";
import type { Names } from "./table.ts";

/** Members of struct owner that are no plain numbers to show: each has a way of its own in src/trace/event.ts. */
const ownWay = ["pid", "comm", "owned_at", "cgroup_id", "program"] as const;

export type AttributeName = Exclude<keyof Owner, (typeof ownWay)[number]>;

export interface Attribute {
  description: string;
  /** Its column of the wide table; `null`: it has none. */
  column: { title: string; width: number; meaning: string } | null;
  names: Names;
}

/** By the name in struct owner, which is also that of the member, in the order in which they are written. */
export const attributes: Readonly<Record<AttributeName, Attribute>> = {
  uid: {
    description: "real user id of the process, in the initial user namespace",
    // A row of columns.ts has it, because --resolve shows the user's name there.
    column: null,
    names: { openTelemetry: "`user.id`", ecs: "`user.id`" },
  },
};

export const attributeNames = Object.keys(attributes) as AttributeName[];

/** All of them; `null`: not known. */
export function attributesOf(of: Attributes): Required<Attributes> {
  const all: Attributes = {};
  for (const name of attributeNames) all[name] = of[name] ?? null;
  return all as Required<Attributes>;
}

/** Of an event; left out by those who do not know of it, `null`: not known. */
export type Attributes = { [K in AttributeName]?: number | null };
