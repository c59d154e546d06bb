/** The choices of the user in the live view. Pure. */
import type { Found, Row, Within } from "./rows.ts";
import type { TopGrouping } from "./groupings.ts";

export interface View {
  by: TopGrouping;
  /** Of `orders`. */
  sort: string;
  reverse: boolean;
  ended: boolean;
  /** Text that names must have, or flags as of the command line. */
  filter: string;
  /** The filter while it is typed; `null`: it is not. */
  typing: string | null;
  /** Keys of rows in the order in which they stay; `null`: they move. */
  frozen: readonly string[] | null;
  paused: boolean;
  /** The row whose details are shown. */
  details: (Within & { row: Row }) | null;
  /** Keys. */
  selected: string | null;
  expanded: ReadonlySet<string>;
  help: boolean;
  /** Lines of the help that are above the screen. */
  scroll: number;
  bits: boolean;
  names: boolean;
  intervalMs: number;
  quit: boolean;
}

export const firstView = (
  first: Pick<View, "by" | "sort" | "intervalMs"> & Partial<View>,
): View => ({
  reverse: false,
  ended: false,
  filter: "",
  typing: null,
  frozen: null,
  paused: false,
  details: null,
  selected: null,
  expanded: new Set(),
  help: false,
  scroll: 0,
  bits: false,
  names: false,
  quit: false,
  ...first,
});

/** Flags are for the connections, text is for the names of rows. */
export const isFlags = (filter: string): boolean => filter.startsWith("-");

/** The question for the rows that the user wants to see. */
export const queryOf = (view: View, most: number) => ({
  by: view.details === null ? view.by : ("connection" as const),
  sort: view.sort,
  reverse: view.reverse,
  ended: view.ended,
  within: view.details,
  text: isFlags(view.filter) ? "" : view.filter,
  most,
});

/** In the order that was frozen; rows that are new stand behind. */
export function inOrder({ rows, count }: Found, frozen: View["frozen"]): Found {
  if (frozen === null) return { rows, count };
  const places = new Map(frozen.map((key, place) => [key, place]));
  const placeOf = ({ key }: Row): number => places.get(key) ?? Infinity;
  const known = rows.filter((row) => places.has(row.key)).sort((a, b) => placeOf(a) - placeOf(b));
  return { rows: [...known, ...rows.filter((row) => !places.has(row.key))], count };
}
