/** One aligned line per event, for people. An open fits 109 columns; a close continues with its totals. */

import { timeOfDay } from "../conn/clock.ts";
import type { ConnEvent, Endpoint, Totals } from "../conn/event.ts";
import { endpointText } from "../record/address.ts";
import { escapeText } from "./escape.ts";

const unknown = "-";

/** To add a column, add a row. Widths hold the longest usual value; see `align` for longer ones. */
interface Column {
  title: string;
  width: number;
  right?: true;
  /** Left out of the line when it, and all to its right, are `null`. */
  cell(event: ConnEvent, wallNs: bigint): string | null;
}

const columns: readonly Column[] = [
  { title: "TIME", width: 12, cell: (_, wallNs) => timeOfDay(wallNs) },
  { title: "KIND", width: 7, cell: (event) => event.kind },
  { title: "PROTO", width: 5, cell: (event) => event.protocol },
  { title: "PID", width: 7, right: true, cell: (event) => event.pid?.toString() ?? unknown },
  { title: "COMM", width: 15, cell: (event) => commText(event.comm) },
  { title: "LOCAL", width: 21, cell: (event) => endText(event.local) },
  { title: "REMOTE", width: 21, cell: (event) => endText(event.remote) },
  { title: "DIR", width: 3, cell: (event) => directions[event.direction] },
  { title: "NETNS", width: 10, right: true, cell: (event) => event.netns?.toString() ?? unknown },
  total("SENT", 10, ({ bytesSent }) => bytesSent?.toString()),
  total("RECV", 10, ({ bytesReceived }) => bytesReceived?.toString()),
  total("RTT", 9, ({ rttUs }) => (rttUs === null ? undefined : durationText(BigInt(rttUs)))),
  total("RETRANS", 7, ({ retransmits }) => retransmits?.toString()),
  total("DURATION", 9, ({ durationNs }) =>
    durationNs === null ? undefined : durationText(durationNs / 1000n),
  ),
];

const endText = (end: Endpoint) => (end.port === 0 ? unknown : endpointText(end));

const directions = { outgoing: "out", incoming: "in", unknown } as const;

export function textHeader(): string {
  return align(columns.map((column) => column.title));
}

export function textLine(event: ConnEvent, wallNs: bigint): string {
  return align(columns.map((column) => column.cell(event, wallNs)));
}

/** Under a second in ms, else in s, always with three decimals: `0.045ms`, `12.345s`. */
export function durationText(us: bigint): string {
  const [value, unit] = us < 1_000_000n ? [us, "ms"] : [us / 1000n, "s"];
  return `${value / 1000n}.${(value % 1000n).toString().padStart(3, "0")}${unit}`;
}

function total(
  title: string,
  width: number,
  value: (totals: Totals) => string | undefined,
): Column {
  const cell = ({ totals }: ConnEvent) =>
    totals === undefined ? null : (value(totals) ?? unknown);
  return { title, width, right: true, cell };
}

/** Escaping can make 15 bytes 60 columns wide; the column shows the start, `+` says that more follows. */
const COMM_WIDTH = 15;

function commText(comm: string | null): string {
  if (comm === null || comm === "") return unknown;
  const escaped = escapeText(comm);
  if (Bun.stringWidth(escaped) <= COMM_WIDTH) return escaped;
  let shown = "";
  for (const char of comm) {
    const next = shown + escapeText(char);
    if (Bun.stringWidth(next) > COMM_WIDTH - 1) break;
    shown = next;
  }
  return `${shown}+`;
}

/**
 * Every cell aims at the place its column has in a line of usual widths. A long one (IPv6 endpoints) pushes its
 * right neighbours only until a shorter cell has given the room back.
 */
function align(cells: readonly (string | null)[]): string {
  let line = "";
  let used = 0;
  let end = 0;
  for (const [i, column] of columns.entries()) {
    const cell = cells[i];
    if (cell === null || cell === undefined) break;
    const gap = i === 0 ? 0 : 1;
    end += gap + column.width;
    const width = Bun.stringWidth(cell);
    const start = Math.max(used + gap, column.right ? end - width : end - column.width);
    line += " ".repeat(start - used) + cell;
    used = start + width;
  }
  return line;
}
