/** The lines of the live view. Pure. */
import { wrap } from "../output/wrap.ts";
import { cut, fit } from "./cells.ts";
import { columns, orders, rateOrder, type CellOptions } from "./columns.ts";
import { detailLines } from "./details.ts";
import type { Tick } from "./facts.ts";
import { footerOf, type Around } from "./footer.ts";
import { groupingOf, partText } from "./groupings.ts";
import { sparkline, type Rates } from "./history.ts";
import { keys } from "./keys.ts";
import { layoutOf, sparkTitle, type Layout } from "./layout.ts";
import { rowsOf, type Found, type Row } from "./rows.ts";
import { isFlags, type View } from "./state.ts";

export interface Line {
  text: string;
  style?: "title" | "header" | "selected" | "dim" | "alarm";
}

export interface Size {
  columns: number;
  rows: number;
}

export interface Frame {
  view: View;
  tick: Tick;
  /** In the order in which they are shown. */
  found: Found;
  ratesOf(row: Row): Rates;
  around: Around;
  size: Size;
  /** Whether the terminal has no more than ASCII. */
  plain: boolean;
}

/** Lines above and below the rows. */
const TITLES = 2;
const FOOTERS = 2;
/** Of an expanded row. */
const MOST_REMOTES = 5;

/** Rows that have room, without details. */
export const fitsOn = ({ rows }: Size): number => Math.max(1, rows - TITLES - FOOTERS);

/** At most as many as the screen has, none wider than it is. */
export function screenOf(frame: Frame): Line[] {
  const { view, size } = frame;
  const body = view.help ? helpOn(size, view.scroll) : bodyOf(frame);
  const lines = [titleOf(frame), ...body.slice(0, Math.max(0, size.rows - 1 - FOOTERS))];
  while (lines.length < size.rows - FOOTERS) lines.push({ text: "" });
  const all = [...lines, ...footerOf(frame)].slice(0, size.rows);
  return all.map(({ text, ...style }) => ({ ...style, text: cut(text, size.columns) }));
}

/** The same for where nothing is overwritten: the rows that there are, without keys. */
export function tableOf(frame: Frame): string[] {
  const { size } = frame;
  const lines = [titleOf(frame), ...tableLines(frame, Infinity), ...footerOf(frame).slice(0, 1)];
  return lines.map(({ text }) => cut(text, size.columns).trimEnd());
}

// --- internal ---

function titleOf({ view, found, around }: Frame): Line {
  const { title } = orders.find(({ name }) => name === view.sort) ?? rateOrder;
  const by =
    view.details === null
      ? `by ${view.by}`
      : `connections of ${nameText(view.details.row, view.details.by, view.names)}`;
  const marks = [
    view.paused ? "PAUSED" : null,
    view.frozen === null ? null : "FROZEN",
    view.ended ? "ended too" : null,
    view.filter === "" ? null : `${isFlags(view.filter) ? "only" : "name has"} ${view.filter}`,
  ].filter((mark) => mark !== null);
  const parts = [
    [around.time, ...marks].join(", "),
    by,
    `${found.count} row${found.count === 1 ? "" : "s"}`,
    `sort ${title}${view.reverse ? " reversed" : ""}`,
    `each ${secondsText(view.intervalMs)}`,
  ];
  return { text: parts.join(", "), style: "title" };
}

const secondsText = (ms: number): string => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);

function bodyOf(frame: Frame): Line[] {
  const { view, size } = frame;
  const room = Math.max(1, size.rows - TITLES - FOOTERS);
  if (view.details === null) return tableLines(frame, room);
  const details = detailLines(view.details.row, view.details.by, frame.tick)
    .flatMap((line) => wrap(line, size.columns))
    .map((text): Line => ({ text }));
  const some = details.slice(0, Math.max(1, room - 3));
  return [...some, ...tableLines(frame, Math.max(1, room - some.length))];
}

function tableLines(frame: Frame, room: number): Line[] {
  const { view, found, size, tick } = frame;
  const by = view.details === null ? view.by : "connection";
  const layout = layoutOf(by, size.columns);
  const how = {
    seconds: Number(tick.elapsedNs) / 1e9,
    bits: view.bits,
    names: view.names,
  };
  const lines = found.rows.map((row): Line[] => [
    {
      text: lineOf(row, layout, how, frame),
      ...(row.key === view.selected && { style: "selected" as const }),
    },
    ...(view.expanded.has(row.key) && view.details === null
      ? remotesOf(row, layout, how, frame)
      : []),
  ]);
  const at = found.rows.findIndex(({ key }) => key === view.selected);
  const shown = around(lines, at, room);
  const none: Line = { text: "nothing open; waiting for connections", style: "dim" };
  return [headerOf(layout, view.sort), ...(shown.length === 0 ? [none] : shown)];
}

/** As many as have room, with the selected row among them. */
function around(lines: readonly Line[][], selected: number, room: number): Line[] {
  let first = 0;
  const sizeTo = (from: number): number =>
    lines.slice(from, selected + 1).reduce((sum, some) => sum + some.length, 0);
  if (Number.isFinite(room)) while (first < selected && sizeTo(first) > room) first += 1;
  return lines
    .slice(first, Number.isFinite(room) ? first + room : undefined)
    .flat()
    .slice(0, room);
}

function headerOf({ parts, columns: shown, spark }: Layout, sort: string): Line {
  const names = parts.map(({ title, room, right }) => fit(title, room, right));
  const cells = shown.map(({ title, width, right, name }) =>
    fit(name === sort && title.length < width ? `*${title}` : title, width, right),
  );
  const last = spark === 0 ? [] : [fit(sparkTitle, spark, true)];
  return { text: [...names, ...cells, ...last].join(" "), style: "header" };
}

function lineOf(row: Row, layout: Layout, how: CellOptions, { ratesOf, plain }: Frame): string {
  const { parts, columns: shown, spark } = layout;
  const names = parts.map((part) =>
    fit(partText(part, row.event, how.names), part.room, part.right),
  );
  const cells = shown.map((column) => fit(column.cell(row, how), column.width, column.right));
  const last = spark === 0 ? [] : [sparkline(ratesOf(row), spark, plain ? "plain" : "blocks")];
  return [...names, ...cells, ...last].join(" ");
}

function remotesOf(row: Row, layout: Layout, how: CellOptions, { view, tick }: Frame): Line[] {
  const { rows, count } = rowsOf(tick, {
    by: "remote",
    sort: view.sort,
    reverse: view.reverse,
    ended: false,
    within: { by: view.by, key: row.key },
    text: "",
    most: MOST_REMOTES,
  });
  const room = layout.parts.reduce((sum, part) => sum + part.room + 1, -1);
  const [part] = groupingOf("remote").parts;
  const lines = rows.map((remote): Line => {
    const cells = layout.columns.map((column) =>
      fit(column.cell(remote, how), column.width, column.right),
    );
    const name = fit(`    ${partText(part, remote.event, how.names)}`, room);
    return { text: [name, ...cells].join(" "), style: "dim" };
  });
  if (count <= rows.length) return lines;
  return [...lines, { text: `    and ${count - rows.length} more remote ends`, style: "dim" }];
}

const nameText = (row: Row, by: View["by"], names: boolean): string =>
  groupingOf(by)
    .parts.map((part) => partText(part, row.event, names))
    .join(" ");

/** As much of the help as has room. */
function helpOn(size: Size, scroll: number): Line[] {
  const lines = helpLines(size);
  const room = Math.max(1, size.rows - 1 - FOOTERS);
  if (lines.length <= room) return lines;
  const from = Math.min(scroll, lines.length - room + 1);
  const isEnd = from + room > lines.length;
  const more: Line = { text: isEnd ? "(Up: back)" : "(Down, Page Down: more)", style: "dim" };
  return [...lines.slice(from, from + room - 1), more];
}

function helpLines({ columns: width }: Size): Line[] {
  const shown = keys.filter((key) => key.shown !== "");
  const left = Math.max(...shown.map((key) => key.shown.length)) + 2;
  const both = (term: string, meaning: string): Line[] =>
    wrap(meaning, Math.max(20, width - left)).map((line, i) => ({
      text: `${fit(i === 0 ? term : "", left)}${line}`,
    }));
  return [
    ...shown.flatMap((key) => both(key.shown, key.meaning)),
    { text: "" },
    ...[...columns, rateOrder].flatMap(({ title, meaning }) =>
      both(title.slice(0, left - 1), meaning),
    ),
  ];
}
