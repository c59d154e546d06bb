/** The ways to put connections together in the live view. Pure. */
import type { ConnEvent, Endpoint } from "../conn/event.ts";
import { endpointText } from "../record/address.ts";
import { groupings as shared } from "../summary/groups.ts";

/** A value of a group's name, for machines. */
export type Exact = string | number | null | Endpoint;

export interface NamePart {
  title: string;
  /** The member in JSON. */
  name: string;
  /** Columns that are kept for it; the last part of a name takes what is left. */
  width: number;
  right?: true;
  exact(event: ConnEvent): Exact;
}

export interface Grouping {
  /** Events with the same key are one row; `null`: not known. */
  key(event: ConnEvent): string | number | null;
  /** The parts of its name. */
  parts: readonly [...NamePart[], NamePart];
}

const pid: NamePart = {
  title: "PID",
  name: "pid",
  width: 7,
  right: true,
  exact: (event) => event.pid,
};
const comm: NamePart = { title: "PROCESS", name: "comm", width: 15, exact: (event) => event.comm };

/** To add one, add a row; one that `summary --by` has too is a row of src/summary/groups.ts. */
const topGroupings = {
  process: { key: (event) => event.pid, parts: [pid, comm] },
  unit: fromShared("unit", 24),
  remote: fromShared("remote", 24),
  port: fromShared("port", 15),
  connection: {
    key: connectionKey,
    parts: [
      pid,
      { ...comm, width: 11 },
      { title: "PRO", name: "protocol", width: 3, exact: ({ protocol }) => protocol },
      { title: "LPORT", name: "local", width: 5, right: true, exact: ({ local }) => local },
      { title: "->", name: "direction", width: 2, exact: ({ direction }) => direction },
      { title: "REMOTE", name: "remote", width: 21, exact: ({ remote }) => remote },
    ],
  },
  service: fromShared("service", 15),
  app: fromShared("app", 12),
  container: fromShared("container", 15),
  netns: fromShared("netns", 15),
} as const satisfies Readonly<Record<string, Grouping>>;

export type TopGrouping = keyof typeof topGroupings;

export const topGroupingNames = Object.keys(topGroupings) as TopGrouping[];

export const groupingOf = (name: TopGrouping): Grouping => topGroupings[name];

// --- internal ---

function fromShared(name: keyof typeof shared, width: number): Grouping {
  const { title, of } = shared[name];
  return { key: of, parts: [{ title, name, width, exact: of }] };
}

/** Two interfaces can have the same ends; so can connections one after the other, whose rows are one. */
function connectionKey({ protocol, netns, local, remote }: ConnEvent): string {
  return `${protocol} ${netns} ${endpointText(local)} ${endpointText(remote)}`;
}
