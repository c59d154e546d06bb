/** A summary as tables: titles and cells, with exact values for machines and texts for people. Pure. */
import { processName } from "../conn/process_name.ts";
import { isoMicros, timeOfDay, type OffsetAt } from "../conn/clock.ts";
import type { Endpoint } from "../conn/event.ts";
import type { Application } from "../protocols/stack.ts";
import { briefBytes, briefDuration } from "../output/numbers.ts";
import { endpointText } from "../record/address.ts";
import { errnoText } from "../record/errno.ts";
import { groupings, remoteOf, type Group, type Grouping, type Sums } from "./groups.ts";
import type { Backend, Failures, Spoken, Summary, Timed } from "./tally.ts";

/** `null`: not known. */
export type Exact = string | number | bigint | Endpoint | null;

export interface Column<Row> {
  title: string;
  /** The member in JSON, the column in CSV. */
  name: string;
  right?: true;
  exact(row: Row): Exact;
  /** For people, where it is not the exact value. */
  brief?(row: Row): string;
}

export interface Section {
  title: string;
  /** The member in JSON. */
  name: string;
  titles: readonly { title: string; name: string; right: boolean }[];
  exact: readonly (readonly Exact[])[];
  brief: readonly (readonly string[])[];
}

/** To add a section, add a row. `most`: groups that are shown. */
export function sectionsOf(
  summary: Summary,
  most: number,
  offsetAt: OffsetAt,
): readonly [Section, ...Section[]] {
  const { groups, failures, slowest, retransmits, longest, protocols, backends } = summary;
  const ended = [timeColumn("ENDED", offsetAt), ...endsColumns, ...endedColumns];
  return [
    groupSection(summary.by, groups.slice(0, most)),
    section("failures", "failures", failureColumns, failures),
    section(
      "slowest connects",
      "slowest",
      [timeColumn("TIME", offsetAt), ...endsColumns, connectColumn],
      slowest,
    ),
    section("most segments sent again", "retransmits", ended, retransmits),
    section("longest connections", "longest", ended, longest),
    section("protocols", "protocols", protocolColumns, protocols),
    section("translated remote ends (NAT)", "backends", backendColumns, backends),
  ];
}

export const groupSection = (by: Grouping, groups: readonly Group[]): Section =>
  section("most bytes", "groups", groupColumns(by), groups);

/** A sum of nothing that is known is no number: `null`. */
export const knownSum = ({ connections, bytesUnknown }: Sums, sum: bigint): bigint | null =>
  connections === bytesUnknown && sum === 0n ? null : sum;

/** The same for people. */
export const sumText = (sums: Sums, sum: bigint): string => bytesText(knownSum(sums, sum));

// --- internal ---

function section<Row>(
  title: string,
  name: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): Section {
  return {
    title,
    name,
    titles: columns.map((column) => ({
      title: column.title,
      name: column.name,
      right: column.right ?? false,
    })),
    exact: rows.map((row) => columns.map(({ exact }) => exact(row))),
    brief: rows.map((row) => columns.map(({ exact, brief }) => brief?.(row) ?? textOf(exact(row)))),
  };
}

const unknown = "-";

function textOf(value: Exact): string {
  if (value === null) return unknown;
  return typeof value === "object" ? endpointText(value) : value.toString();
}

const groupColumns = (by: Summary["by"]): readonly Column<Group>[] => [
  { title: groupings[by].title, name: by, exact: ({ name }) => name },
  ...connectionColumns,
  { title: "FAILED", name: "failed", right: true, exact: ({ failed }) => failed },
  ...sumColumns,
];

const connectionColumns: readonly Column<Sums>[] = [
  { title: "CONNS", name: "connections", right: true, exact: ({ connections }) => connections },
  { title: "OPEN", name: "open", right: true, exact: ({ open }) => open },
];

const sumColumns: readonly Column<Sums>[] = [
  {
    title: "SENT",
    name: "bytes_sent",
    right: true,
    exact: (row) => knownSum(row, row.bytesSent),
    brief: (row) => sumText(row, row.bytesSent),
  },
  {
    title: "RECV",
    name: "bytes_received",
    right: true,
    exact: (row) => knownSum(row, row.bytesReceived),
    brief: (row) => sumText(row, row.bytesReceived),
  },
  {
    title: "UNKNOWN",
    name: "bytes_unknown",
    right: true,
    exact: ({ bytesUnknown }) => bytesUnknown,
  },
  { title: "RETRANS", name: "retransmits", right: true, exact: ({ retransmits }) => retransmits },
];

/** A row per stack; an attempt that failed speaks nothing. */
const protocolColumns: readonly Column<Spoken>[] = [
  layerColumn("API", "api"),
  layerColumn("APPLICATION", "application"),
  layerColumn("ENCRYPTION", "encryption"),
  ...connectionColumns,
  ...sumColumns,
];

function layerColumn(title: string, layer: keyof Application): Column<Spoken> {
  return { title, name: layer, exact: ({ application }) => application && application[layer] };
}

const failureColumns: readonly Column<Failures>[] = [
  { title: "COUNT", name: "count", right: true, exact: ({ count }) => count },
  {
    title: "ERROR",
    name: "failure",
    exact: ({ errno }) => (errno === null ? null : errnoText(errno)),
  },
  { title: "PROCESS", name: "process", exact: ({ comm }) => comm },
  { title: "REMOTE", name: "remote", exact: ({ remote }) => remote },
  { title: "SERVICE", name: "service", exact: ({ service }) => service },
];

const timeColumn = (title: string, offsetAt: OffsetAt): Column<Timed> => ({
  title,
  name: "time",
  exact: ({ wallNs }) => isoMicros(wallNs),
  brief: ({ wallNs }) => timeOfDay(wallNs, offsetAt),
});

const endsColumns: readonly Column<Timed>[] = [
  { title: "PROTO", name: "protocol", exact: ({ event }) => event.protocol },
  { title: "PID", name: "pid", right: true, exact: ({ event }) => event.pid },
  { title: "PROCESS", name: "process", exact: ({ event }) => processName(event) },
  { title: "LOCAL", name: "local", exact: ({ event }) => event.local },
  { title: "REMOTE", name: "remote", exact: ({ event }) => remoteOf(event) },
];

const connectColumn: Column<Timed> = {
  title: "CONNECT",
  name: "connect_us",
  right: true,
  exact: ({ event }) => durationUs(event.connectNs ?? null),
  brief: ({ event }) => durationText(event.connectNs ?? null),
};

const endedColumns: readonly Column<Timed>[] = [
  {
    title: "SENT",
    name: "bytes_sent",
    right: true,
    exact: ({ event }) => event.totals?.bytesSent ?? null,
    brief: ({ event }) => bytesText(event.totals?.bytesSent ?? null),
  },
  {
    title: "RECV",
    name: "bytes_received",
    right: true,
    exact: ({ event }) => event.totals?.bytesReceived ?? null,
    brief: ({ event }) => bytesText(event.totals?.bytesReceived ?? null),
  },
  {
    title: "RETRANS",
    name: "retransmits",
    right: true,
    exact: ({ event }) => event.totals?.retransmits ?? null,
  },
  {
    title: "DURATION",
    name: "duration_us",
    right: true,
    exact: ({ event }) => durationUs(event.totals?.durationNs ?? null),
    brief: ({ event }) => durationText(event.totals?.durationNs ?? null),
  },
];

const bytesText = (bytes: bigint | null): string => (bytes === null ? unknown : briefBytes(bytes));
const durationUs = (ns: bigint | null): bigint | null => (ns === null ? null : ns / 1000n);
const durationText = (ns: bigint | null): string =>
  ns === null ? unknown : briefDuration(ns / 1000n);

const backendColumns: readonly Column<Backend>[] = [
  { title: "CONNS", name: "connections", right: true, exact: ({ connections }) => connections },
  { title: "REMOTE", name: "remote", exact: ({ remote }) => remote },
  { title: "BACKEND", name: "backend", exact: ({ backend }) => backend },
];
