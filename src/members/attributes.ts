/**
 * The plain numbers of an event that are no facts of the connection itself: of its process, as the kernel side tells them,
 * and those that a part of the trace adds. Types and tests miss a row that is left out. Pure.
 */
import type { Owner } from "../record/layout.gen.ts";
import type { Names } from "./table.ts";

/** Members of struct owner that are no plain numbers to show: each has a way of its own in src/trace/event.ts. */
const ownWay = [
  "pid",
  "comm",
  "of_thread",
  "owned_at",
  "cgroup_id",
  "program",
  "listener_ino",
] as const;

type OwnerAttribute = Exclude<keyof Owner, (typeof ownWay)[number]>;

export interface Attribute {
  description: string;
  /** Its column of the wide table; `null`: it has none. */
  column: { title: string; width: number; meaning: string } | null;
  names: Names;
}

/**
 * By the name in struct owner, which is also that of the member. To add one: a line in struct owner (bpf/record.h), a line
 * where an owner is filled (bpf/process/owner.h, and src/kernel/owners.ts for /proc), and a row.
 */
const ofOwner: Readonly<Record<OwnerAttribute, Attribute>> = {
  uid: {
    description: "real user id of the process, in the initial user namespace",
    // A row of columns.ts has it, because --resolve shows the user's name there.
    column: null,
    names: { openTelemetry: "`user.id`", ecs: "`user.id`" },
  },
};

/** By the name of the member, which a part adds in `enrich` (src/trace/part.ts). To add one, add a row. */
const ofParts = {} satisfies Readonly<Record<string, Attribute>>;

/** In the order in which they are written. */
export const attributes = { ...ofOwner, ...ofParts } satisfies Readonly<Record<string, Attribute>>;

export type AttributeName = keyof typeof attributes;

export const attributeNames = Object.keys(attributes) as AttributeName[];
export const ownerAttributes = Object.keys(ofOwner) as OwnerAttribute[];

/** All of them; `null`: not known. */
export function attributesOf(of: Attributes): Required<Attributes> {
  const all: Attributes = {};
  for (const name of attributeNames) all[name] = of[name] ?? null;
  return all as Required<Attributes>;
}

/** Of an event; left out by those who do not know of it, `null`: not known. */
export type Attributes = { [K in AttributeName]?: number | null };
