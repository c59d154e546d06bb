/** The ways to put connections together in the live view. Pure. */
import { processName } from "../conn/process_name.ts";
import type { ConnEvent, Endpoint } from "../conn/event.ts";
import { escapeText } from "../output/escape.ts";
import { endpointText } from "../record/address.ts";
import { groupings, remoteOf } from "../summary/groups.ts";

/** A value of a group's name, for machines. */
export type Exact = string | number | null | Endpoint;

export interface NamePart {
  title: string;
  /** The member in JSON. */
  name: string;
  /** Columns that are kept for it; the last part of a name takes what is left. */
  width: number;
  /** The last part of a name may be cut to so many, where there is no room. */
  least?: number;
  right?: true;
  exact(event: ConnEvent): Exact;
  /** For people, where it is not the exact value; safe to print. */
  text?(event: ConnEvent, names: boolean): string;
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
const comm: NamePart = {
  title: "PROCESS",
  name: "comm",
  width: 15,
  least: 12,
  exact: processName,
};

/** To add one, add a row; one that `summary --by` has too is a row of src/summary/groups.ts. */
const topGroupings = {
  process: { key: (event) => event.pid, parts: [pid, comm] },
  comm: fromShared("process", 15, "comm"),
  unit: fromShared("unit", 24),
  remote: {
    key: groupings.remote.of,
    parts: [
      {
        title: "REMOTE",
        name: "remote",
        width: 24,
        least: 15,
        exact: groupings.remote.of,
        // The name is that of the socket's remote end, not of the one behind NAT.
        text: (event, names) =>
          names && event.remote.name && remoteOf(event) === event.remote
            ? escapeText(event.remote.name)
            : (groupings.remote.of(event) ?? unknown),
      },
    ],
  },
  port: fromShared("port", 15),
  connection: {
    key: connectionKey,
    parts: [
      pid,
      { ...comm, width: 11 },
      { title: "PRO", name: "protocol", width: 3, exact: ({ protocol }) => protocol },
      {
        title: "LPORT",
        name: "local",
        width: 5,
        right: true,
        exact: ({ local }) => local,
        text: ({ local }) => (local.port === 0 ? unknown : local.port.toString()),
      },
      {
        title: "->",
        name: "direction",
        width: 2,
        exact: ({ direction }) => direction,
        text: ({ direction }) => arrows[direction],
      },
      {
        title: "REMOTE",
        name: "remote",
        width: 21,
        exact: ({ remote }) => remote,
        text: ({ remote }, names) => endText(remote, names),
      },
    ],
  },
  service: fromShared("service", 15),
  app: fromShared("app", 12),
  container: fromShared("container", 15),
  netns: fromShared("netns", 15),
} as const satisfies Readonly<Record<string, Grouping>>;

export type TopGrouping = keyof typeof topGroupings;

export const topGroupingNames = Object.keys(topGroupings) as TopGrouping[];

/** The text of a part; with `names` the names of addresses, where they are known. */
export function partText(part: NamePart, event: ConnEvent, names: boolean): string {
  if (part.text !== undefined) return part.text(event, names);
  const value = part.exact(event);
  if (value === null) return unknown;
  return typeof value === "object" ? endpointText(value) : escapeText(value.toString());
}

/** An address or its name, with the port. */
export function endText({ name = null, ...end }: Endpoint, names: boolean): string {
  if (!names || name === null) return endpointText(end);
  return `${escapeText(name)}:${end.port}`;
}

export const groupingOf = (name: TopGrouping): Grouping => topGroupings[name];

// --- internal ---

const unknown = "-";
const arrows = { outgoing: "->", incoming: "<-", unknown: "?" } as const;

function fromShared(from: keyof typeof groupings, width: number, name: string = from): Grouping {
  const { title, of } = groupings[from];
  return { key: of, parts: [{ title, name, width, least: Math.min(width, 15), exact: of }] };
}

/** Two interfaces can have the same ends; so can connections one after the other, whose rows are one. */
function connectionKey({ protocol, netns, local, remote }: ConnEvent): string {
  return `${protocol} ${netns} ${endpointText(local)} ${endpointText(remote)}`;
}
