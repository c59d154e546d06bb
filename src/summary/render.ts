/** A summary as text for people, as one JSON object, and its groups as CSV. Pure. Every text ends in a newline. */
import { isoMicros, type OffsetAt } from "../conn/clock.ts";
import { csvCell } from "../output/csv.ts";
import { jsonString } from "../output/escape.ts";
import type { Loss } from "../output/losses.ts";
import { briefDuration } from "../output/numbers.ts";
import { table } from "../output/report.ts";
import { endpointText } from "../record/address.ts";
import { knownSum, sectionsOf, sumText, type Exact, type Section } from "./sections.ts";
import type { Summary } from "./tally.ts";

export interface RenderOptions {
  /** Groups that are shown. */
  most: number;
  offsetAt: OffsetAt;
  /** Events that are not in the summary. */
  losses: readonly Loss[];
}

/** To add a format, add a row. */
export const renderings: Readonly<
  Record<"table" | "json" | "csv", (summary: Summary, options: RenderOptions) => string>
> = { table: summaryText, json: summaryJson, csv: summaryCsv };

/** In three lines at most: when, how many, how much. */
export function overview({ span, events, sums }: Summary): string[] {
  if (span === null) return ["no event"];
  const { fromNs, toNs } = span;
  const unknown =
    sums.bytesUnknown === 0 ? "" : ` (not known of ${counted(sums.bytesUnknown, "connection")})`;
  return [
    `${isoMicros(fromNs)} to ${isoMicros(toNs)} (${briefDuration((toNs - fromNs) / 1000n)}): ${counted(events, "event")}`,
    `${counted(sums.connections, "connection")}, ${sums.open} of them without an end; ${sums.failed} failed attempts`,
    `${sumText(sums, sums.bytesSent)} sent, ${sumText(sums, sums.bytesReceived)} received${unknown}`,
  ];
}

// --- internal ---

function summaryText(summary: Summary, { most, offsetAt }: RenderOptions): string {
  const sections = sectionsOf(summary, most, offsetAt).filter(({ brief }) => brief.length > 0);
  return [...overview(summary), ...sections.flatMap(sectionLines), ""].join("\n");
}

function sectionLines({ title, titles, brief }: Section): string[] {
  const right = [...titles.keys()].filter((i) => titles[i]!.right);
  const rows = brief.map((row) => [...row]);
  return [
    "",
    `${title}:`,
    ...table(
      titles.map((column) => column.title),
      rows,
      right,
    ),
  ];
}

const counted = (count: number, what: string): string =>
  `${count} ${what}${count === 1 ? "" : "s"}`;

function summaryJson(summary: Summary, { most, offsetAt, losses }: RenderOptions): string {
  const { span, events, sums, by } = summary;
  const members = [
    ["from", json(span && isoMicros(span.fromNs))],
    ["to", json(span && isoMicros(span.toNs))],
    ["events", json(events)],
    [
      "lost",
      list(
        losses.map(({ cause, count }) =>
          object([
            ["cause", cause],
            ["count", count],
          ]),
        ),
      ),
    ],
    ["connections", json(sums.connections)],
    ["open", json(sums.open)],
    ["failed", json(sums.failed)],
    ["bytes_sent", json(knownSum(sums, sums.bytesSent))],
    ["bytes_received", json(knownSum(sums, sums.bytesReceived))],
    ["bytes_unknown", json(sums.bytesUnknown)],
    ["retransmits", json(sums.retransmits)],
    ["by", json(by)],
    ...sectionsOf(summary, most, offsetAt).map(({ name, titles, exact }) => [
      name,
      list(exact.map((row) => object(titles.map((column, i) => [column.name, row[i]!])))),
    ]),
  ];
  return `{${members.map(([name, value]) => `"${name}":${value}`).join()}}\n`;
}

/** Only the groups: one table to a file. */
function summaryCsv(summary: Summary, { most, offsetAt }: RenderOptions): string {
  const [{ titles, exact }] = sectionsOf(summary, most, offsetAt);
  const lines = exact.map((row) => row.map((value) => csvCell(flat(value))).join());
  return [titles.map(({ name }) => name).join(), ...lines, ""].join("\n");
}

const flat = (value: Exact): string | number | bigint | null =>
  value !== null && typeof value === "object" ? endpointText(value) : value;

const list = (items: readonly string[]): string => `[${items.join()}]`;

const object = (members: readonly (readonly [name: string, value: Exact])[]): string =>
  `{${members.map(([name, value]) => `"${name}":${json(value)}`).join()}}`;

function json(value: Exact): string {
  if (value === null) return "null";
  if (typeof value === "string") return jsonString(value);
  if (typeof value !== "object") return value.toString();
  return object([
    ["address", value.address],
    ["port", value.port],
  ]);
}
