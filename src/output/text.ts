/** One aligned line per event, for people. Pure. */

import { styleText } from "node:util";
import type { OffsetAt } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import { tableTemplate, type Cell, type Template } from "./straight/template.ts";
import {
  argsColumn,
  narrow,
  sinceColumn,
  timeColumn,
  uidColumn,
  wide,
  type Column,
} from "./columns.ts";

export interface TextOptions {
  /** Everything, exact; else what fits 80 columns. */
  wide: boolean;
  /** A column with the time of day; the wide table always has it. */
  time: boolean;
  /** A column with the user id; the wide table always has it. */
  uid: boolean;
  /** A last column with the command line. */
  args: boolean;
  /** A column with the seconds since this reading of the monotonic clock; `null` for none. */
  sinceNs: bigint | null;
  color: boolean;
  /** Of a terminal that is narrower than the table: lines are cut to it. `null`: they are as long as they are. */
  terminalColumns: number | null;
  /** The time zone of the time of day. */
  offsetAt: OffsetAt;
}

export function textFormat(options: TextOptions) {
  const { wide: all, time, uid, args, sinceNs, color, offsetAt, terminalColumns } = options;
  const most = terminalColumns ?? Infinity;
  const columns = fitting(
    [
      ...(sinceNs === null ? [] : [sinceColumn(sinceNs)]),
      ...(time || all ? [timeColumn(offsetAt)] : []),
      ...(all ? wide : uid ? withUid(narrow) : narrow),
      ...(args ? [argsColumn] : []),
    ],
    most,
  );
  const paint = (style: "bold" | "red", line: string) =>
    color ? styleText(style, line, { validateStream: false }) : line;
  const titles = align(
    columns,
    columns.map(({ title }) => title),
  );
  return {
    offsetAt,
    header: paint("bold", cut(titles, most)),
    /** A line with holes, for the straight way: see straight/. */
    template(event: ConnEvent): Template | null {
      if (terminalColumns !== null) return null;
      // The whole line decides which text fits.
      if (columns.some(({ instead }) => (instead?.(event) ?? []).length > 0)) return null;
      const failed = typeof event.failure === "number";
      const [head = "", tail = ""] = failed ? paint("red", MARK).split(MARK) : [];
      return tableTemplate(
        columns.map((column) => cellOf(column, event)),
        columns.map(({ width }) => width),
        head,
        tail,
      );
    },
    line(event: ConnEvent, wallNs: bigint): string {
      const cells = columns.map((column) => column.cell(event, wallNs));
      const line = cut(alternative(columns, cells, event) ?? align(columns, cells), most);
      return typeof event.failure === "number" ? paint("red", line) : line;
    },
  };
}

// --- internal ---

/** Stands for a line to find out what is put around it. */
const MARK = "line";

function cellOf(column: Column, event: ConnEvent): Cell | null {
  const { width, right = false } = column;
  const hole = column.hole?.(event) ?? null;
  if (hole !== null) return { ...hole, width, right };
  const text = column.cell(event, 0n);
  return text === null ? null : { text, hole: null, width, right };
}

/** The line with a better text than the cell of one of its columns; `null`: there is none. */
function alternative(
  columns: readonly Column[],
  cells: readonly (string | null)[],
  event: ConnEvent,
): string | null {
  const at = columns.findIndex(({ instead }) => instead !== undefined);
  const texts = columns[at]?.instead?.(event) ?? [];
  // The arguments are as long as they are.
  const sized = columns.filter((column) => column !== argsColumn);
  const width = widthOf(sized);
  const fits = (text: string) =>
    Bun.stringWidth(align(sized, cells.slice(0, sized.length).with(at, text))) <= width;
  const best = texts.find(fits) ?? texts.at(-1);
  return best === undefined ? null : align(columns, cells.with(at, best));
}

const widthOf = (columns: readonly Column[]): number =>
  columns.reduce((sum, { width }) => sum + width, columns.length - 1);

/** As many of them as `most` characters have room for, as far as there are any to leave out. */
function fitting(columns: readonly Column[], most: number): readonly Column[] {
  if (widthOf(columns) <= most) return columns;
  const spare = Math.min(...columns.map((column) => column.spare ?? Infinity));
  if (spare === Infinity) return columns;
  return fitting(
    columns.filter((column) => column.spare !== spare),
    most,
  );
}

/** A `+` says that there is more of it. */
function cut(line: string, most: number): string {
  if (Bun.stringWidth(line) <= most) return line;
  let shown = "";
  for (const char of line) {
    if (Bun.stringWidth(shown + char) > most - 1) break;
    shown += char;
  }
  return `${shown}+`;
}

/** Right behind the process it is of. */
const withUid = (columns: readonly Column[]): Column[] =>
  columns.flatMap((column) => (column.title === "PID" ? [column, uidColumn] : [column]));

/**
 * Every cell aims at the place its column has in a line of usual widths. A long one (IPv6 endpoints) pushes its
 * right neighbours only until a shorter cell has given the room back.
 */
function align(columns: readonly Column[], cells: readonly (string | null)[]): string {
  let line = "";
  let used = 0;
  let end = 0;
  for (const [i, { width, right }] of columns.entries()) {
    const gap = i === 0 ? 0 : 1;
    end += gap + width;
    const cell = cells[i];
    if (cell === null || cell === undefined) continue;
    const size = Bun.stringWidth(cell);
    const start = Math.max(used === 0 ? 0 : used + 1, right ? end - size : end - width);
    line += " ".repeat(start - used) + cell;
    used = start + size;
  }
  return line;
}
