/** The tables of a report as data for its page: a column holds its values, a text that repeats stands there once. Pure. */
import { processName } from "../conn/process_name.ts";
import { translationOf } from "../conn/nat.ts";
import { escapeText } from "../output/escape.ts";
import { endpointText } from "../record/address.ts";
import { errnoText } from "../record/errno.ts";
import { highestOf } from "../protocols/stack.ts";
import { remoteOf, serviceOf, unitOf } from "../summary/groups.ts";
import type { Exact, Section } from "../summary/sections.ts";
import type { Told } from "../summary/tally.ts";

/** `null`: not known. */
export type Cell = string | number | bigint | null;

/** How the page writes a value, and how it sorts; a time is in microseconds since 1970. */
type Kind = "text" | "number" | "duration" | "time";

interface ColumnHead {
  title: string;
  kind: Kind;
}

/** As the page reads it: page.js. */
export interface TableData {
  title: string;
  note: string;
  columns: ColumnData[];
  rows: number;
}

type ColumnData = ColumnHead &
  (
    | { words: string[]; at: number[] }
    /** Above 2^53 as text, so that no reader rounds it. */
    | { values: (number | string | null)[] }
  );

interface ConnectionColumn extends ColumnHead {
  of(told: Told): Cell;
}

/** To add one, add a row. One that is empty in every row is not shown. */
export const connectionColumns: readonly ConnectionColumn[] = [
  { title: "BEGAN (UTC)", kind: "time", of: ({ beganNs }) => beganNs && beganNs / 1000n },
  { title: "END", kind: "text", of: ({ state }) => state },
  { title: "PROTO", kind: "text", of: ({ event }) => event.protocol },
  { title: "PID", kind: "number", of: ({ event }) => event.pid },
  { title: "PROCESS", kind: "text", of: ({ event }) => processName(event) },
  { title: "UNIT", kind: "text", of: ({ event }) => unitOf(event) },
  { title: "DIRECTION", kind: "text", of: ({ event }) => event.direction },
  { title: "LOCAL", kind: "text", of: ({ event }) => endText(event.local) },
  { title: "REMOTE", kind: "text", of: ({ event }) => endText(event.remote) },
  { title: "BEHIND NAT", kind: "text", of: ({ event }) => beyond(event) },
  { title: "NAME", kind: "text", of: ({ event }) => event.tls?.serverName ?? null },
  { title: "SERVICE", kind: "text", of: ({ event }) => serviceOf(event) },
  {
    title: "APP",
    kind: "text",
    of: ({ event: { application } }) => (application ? highestOf(application) : null),
  },
  { title: "CONNECT", kind: "duration", of: ({ event }) => microseconds(event.connectNs) },
  { title: "SENT", kind: "number", of: ({ event }) => event.totals?.bytesSent ?? null },
  { title: "RECEIVED", kind: "number", of: ({ event }) => event.totals?.bytesReceived ?? null },
  { title: "RTT", kind: "duration", of: ({ event }) => event.totals?.rttUs ?? null },
  { title: "RETRANSMITS", kind: "number", of: ({ event }) => event.totals?.retransmits ?? null },
  {
    title: "DURATION",
    kind: "duration",
    of: ({ event }) => microseconds(event.totals?.durationNs),
  },
  { title: "FAILURE", kind: "text", of: ({ event }) => failureOf(event) },
];

/** `rows` in the order of `connectionColumns`. */
export function connectionTable(rows: readonly (readonly Cell[])[], note: string): TableData {
  return tableOf("all connections", note, connectionColumns, rows);
}

export function sectionTable({ title, titles, exact }: Section): TableData {
  const heads = titles.map(({ title: head, name, right }): ColumnHead => ({
    title: head,
    kind: name.endsWith("_us") ? "duration" : right ? "number" : "text",
  }));
  const rows = exact.map((row) => row.map(cellOf));
  return tableOf(title, "", heads, rows);
}

// --- internal ---

const cellOf = (value: Exact): Cell =>
  value !== null && typeof value === "object" ? endText(value) : value;

const endText = (end: { address: string; port: number }): string | null =>
  end.port === 0 && end.address === "" ? null : endpointText(end);

const beyond = (event: Told["event"]): string | null =>
  translationOf(event)?.remote ? endText(remoteOf(event)) : null;

const microseconds = (ns: bigint | null | undefined): bigint | null =>
  ns === null || ns === undefined ? null : ns / 1000n;

function failureOf({ kind, failure }: Told["event"]): string | null {
  if (typeof failure === "number") return errnoText(failure);
  // It failed, and nobody knows why.
  return kind === "fail" || failure === null ? "unknown" : null;
}

function tableOf(
  title: string,
  note: string,
  heads: readonly ColumnHead[],
  rows: readonly (readonly Cell[])[],
): TableData {
  const columns = heads.flatMap(({ title: head, kind }, n) => {
    const values = rows.map((row) => row[n] ?? null);
    if (rows.length > 0 && values.every((value) => value === null)) return [];
    return [
      { title: head, kind, ...(kind === "text" ? words(values) : { values: values.map(exactly) }) },
    ];
  });
  return { title, note, columns, rows: rows.length };
}

function words(values: readonly Cell[]): { words: string[]; at: number[] } {
  const places = new Map<Cell, number>([[null, -1]]);
  const known: string[] = [];
  const at = values.map((value) => {
    const place = places.get(value);
    if (place !== undefined) return place;
    places.set(value, known.length);
    known.push(escapeText(`${value}`));
    return known.length - 1;
  });
  return { words: known, at };
}

function exactly(value: Cell): number | string | null {
  if (typeof value !== "bigint") return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}
