/** Rows of RESULTS.md: what a row is named by, rows measured again, and rows that became slower. Pure. */
import { tablesOf, type Table } from "./table.ts";

/** Titles of columns that hold a rate: more is better. To add one, add it here: each such row is told when it falls. */
const RATES = ["rate", "stream", "rr", "crr", "udprr", "1,000 events per second"];
/** Titles of the columns that a row is named by: the first ones of its table. */
const NAMES = ["", "name", "Linux", "tracer"];

/** The part of its rate by which a row may fall until that is told; a target that is another row's rate is met so near. */
export const TOLERANCE = 0.02;

/** The rows that `before` has by these titles, with those that were measured now in their places, new ones at the end. */
export function merged(
  before: string,
  titles: readonly string[],
  measured: readonly (readonly string[])[],
): (readonly string[])[] {
  const old = tablesOf(before).find((table) => sameTitles(table.titles, titles));
  const rows = new Map((old?.rows ?? []).map((row) => [nameOf(titles, row), row]));
  for (const row of measured) rows.set(nameOf(titles, row), row);
  return [...rows.values()];
}

/** A sentence of each rate in `after` that is lower than it was in `before`. */
export function slower(before: string, after: string): string[] {
  const old = tablesOf(before);
  return tablesOf(after).flatMap(({ titles, rows }) => {
    const then = new Map(
      old
        .filter((table) => sameTitles(table.titles, titles))
        .flatMap((table) => table.rows.map((row) => [nameOf(titles, row), row])),
    );
    return rows.flatMap((row) => {
      const name = nameOf(titles, row);
      return rateColumns(titles).flatMap((column) => {
        const [was, is] = [figure(then.get(name)?.[column]), figure(row[column])];
        if (!(is < was * (1 - TOLERANCE))) return [];
        return [`slower than before: ${name}: ${titles[column]} ${is}, was ${was}`];
      });
    });
  });
}

/** The number at the beginning of a cell; not a number where there is none. */
export const figure = (cell: string | undefined): number =>
  Number.parseFloat((cell ?? "").replaceAll(",", ""));

/** `6.12` of `6.12.118+deb13-cloud-amd64`: a later build's row takes the place of an earlier one's. */
export const versionOf = (release: string): string => /^\d+\.\d+/.exec(release)?.[0] ?? release;

// --- internal ---

const sameTitles = (a: Table["titles"], b: Table["titles"]): boolean => a.join("|") === b.join("|");

function nameOf(titles: readonly string[], row: readonly string[]): string {
  const end = titles.findIndex((title) => !NAMES.includes(title));
  const named = row.slice(0, end < 0 ? titles.length : end);
  return named.map((cell, n) => (titles[n] === "Linux" ? versionOf(cell) : cell)).join(", ");
}

const rateColumns = (titles: readonly string[]): number[] =>
  [...titles.keys()].filter((column) => RATES.includes(titles[column]!));
