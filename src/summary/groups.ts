/** The ways to put connections together, and the sums of each. Pure. */
import { processName } from "../conn/process_name.ts";
import type { ConnEvent, Endpoint, Totals } from "../conn/event.ts";
import { translationOf } from "../conn/nat.ts";
import { highestOf } from "../protocols/stack.ts";
import { isUnspecified } from "../record/address.ts";
import { OTHERS, Rows } from "./rows.ts";

/** To add one, add a row: its title, and the group of an event; `null`: not known. */
export const groupings = {
  process: { title: "PROCESS", of: processName },
  remote: { title: "REMOTE", of: (event: ConnEvent) => addressOf(remoteOf(event)) },
  service: { title: "SERVICE", of: (event: ConnEvent) => serviceOf(event) },
  port: { title: "LOCAL PORT", of: (event: ConnEvent) => portOf(event.local, event) },
  unit: { title: "UNIT", of: (event: ConnEvent) => unitOf(event) },
  app: { title: "APP", of: ({ application }: ConnEvent) => appOf(application) },
  cgroup: { title: "CGROUP", of: ({ cgroup }: ConnEvent) => cgroup ?? null },
  container: { title: "CONTAINER", of: ({ container }: ConnEvent) => container ?? null },
  netns: { title: "NETNS", of: ({ netns }: ConnEvent) => netns?.toString() ?? null },
} as const;

export type Grouping = keyof typeof groupings;

export const groupingNames = Object.keys(groupings) as Grouping[];

/** The remote end, the translated one where it is known. */
export const remoteOf = (event: ConnEvent): Endpoint =>
  translationOf(event)?.remote ?? event.remote;

const appOf = (application: ConnEvent["application"]): string | null =>
  application ? highestOf(application) : null;

/** `null`: the end is not known, or was never chosen. */
const addressOf = ({ address }: Endpoint): string | null =>
  isUnspecified(address) ? null : address;

/** The port that the server waits at, with the protocol: `443/tcp`; `null`: which end is the server is not known. */
export function serviceOf(event: ConnEvent): string | null {
  if (event.direction === "unknown") return null;
  return portOf(event.direction === "incoming" ? event.local : remoteOf(event), event);
}

const portOf = ({ port }: Endpoint, { protocol }: ConnEvent): string | null =>
  port === 0 ? null : `${port}/${protocol}`;

/**
 * The container, by the first 12 characters of its id as engines show it, or the systemd unit: the last part
 * of the control group's path that is one, `nginx.service`; a path without one stands itself. `null`: not known.
 */
export function unitOf(event: ConnEvent): string | null {
  const { cgroup = null, container = null, containerName } = event;
  if (containerName !== undefined) return containerName;
  if (container !== null) return container.replace(/^([0-9a-f]{12})[0-9a-f]{52}$/, "$1");
  if (cgroup === null) return null;
  return lastUnit(cgroup);
}

/** Sums over the connections of one group. */
export interface Sums {
  /** Connections and flows, without the attempts that failed. */
  connections: number;
  /** Of these: without an end in what was read. */
  open: number;
  /** Attempts that came to nothing. */
  failed: number;
  /** Of the connections whose bytes are known. */
  bytesSent: bigint;
  bytesReceived: bigint;
  /** Connections of which one of the two is not known. */
  bytesUnknown: number;
  /** Of the connections whose retransmits are known; `null`: of none. */
  retransmits: number | null;
}

export const noSums = (): Sums => ({
  connections: 0,
  open: 0,
  failed: 0,
  bytesSent: 0n,
  bytesReceived: 0n,
  bytesUnknown: 0,
  retransmits: null,
});

/** Adds a connection that is over, or the last that is known of one that is not. */
export function addConnection(sums: Sums, totals: Totals | undefined, isOpen: boolean): void {
  sums.connections += 1;
  if (isOpen) sums.open += 1;
  const { bytesSent = null, bytesReceived = null, retransmits = null } = totals ?? {};
  sums.bytesSent += bytesSent ?? 0n;
  sums.bytesReceived += bytesReceived ?? 0n;
  if (bytesSent === null || bytesReceived === null) sums.bytesUnknown += 1;
  if (retransmits !== null) sums.retransmits = (sums.retransmits ?? 0) + retransmits;
}

export function addSums(sums: Sums, more: Sums): void {
  sums.connections += more.connections;
  sums.open += more.open;
  sums.failed += more.failed;
  sums.bytesSent += more.bytesSent;
  sums.bytesReceived += more.bytesReceived;
  sums.bytesUnknown += more.bytesUnknown;
  if (more.retransmits !== null) sums.retransmits = (sums.retransmits ?? 0) + more.retransmits;
}

export interface Group extends Sums {
  /** `null`: not known. */
  name: string | null;
}

/** The connections of a trace, put together in one way. */
export class Groups {
  readonly by: Grouping;
  readonly #rows = new Rows<Group>(() => ({ name: OTHERS, ...noSums() }));

  constructor(by: Grouping) {
    this.by = by;
  }

  add(event: ConnEvent, isOpen: boolean): void {
    addConnection(this.#of(event), event.totals, isOpen);
  }

  /** An attempt that failed. */
  fail(event: ConnEvent): void {
    this.#of(event).failed += 1;
  }

  sorted(): Group[] {
    return this.#rows.sorted(mostBytesFirst);
  }

  #of(event: ConnEvent): Group {
    const name = groupings[this.by].of(event);
    return this.#rows.of(JSON.stringify(name), () => ({ name, ...noSums() }));
  }
}

export const mostBytesFirst = (a: Sums, b: Sums): number => {
  const [few, many] = [bytesOf(a), bytesOf(b)];
  if (few !== many) return few < many ? 1 : -1;
  return b.connections + b.failed - a.connections - a.failed;
};

// --- internal ---

/** As many paths as a host has at a time; beyond it they are made anew. */
const UNITS_MAX = 4096;
const units = new Map<string, string>();

/** The live view asks for each connection in each interval, so what is found is kept. */
function lastUnit(cgroup: string): string {
  const known = units.get(cgroup);
  if (known !== undefined) return known;
  if (units.size >= UNITS_MAX) units.clear();
  const parts = cgroup.split("/");
  const unit = parts.findLast((part) => /\.(service|scope|slice)$/.test(part)) ?? cgroup;
  units.set(cgroup, unit);
  return unit;
}

const bytesOf = ({ bytesSent, bytesReceived }: Sums): bigint => bytesSent + bytesReceived;
