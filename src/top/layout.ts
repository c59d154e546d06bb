/** The columns that a screen has room for. Pure. */
import { columns, rateOrder, type Column } from "./columns.ts";
import { groupingOf, type NamePart, type TopGrouping } from "./groupings.ts";

export interface Layout {
  /** With their widths. */
  parts: readonly (NamePart & { room: number })[];
  columns: readonly Column[];
  /** Columns of the sparkline; 0: no room. */
  spark: number;
}

const SPARK = { least: 6, usual: 20, most: 60 } as const;
/** An IPv6 address with its port, or a unit. */
const LONG_NAME = 47;

export function layoutOf(by: TopGrouping, width: number): Layout {
  const { parts } = groupingOf(by);
  const last = parts.at(-1)!;
  const names = sum(parts.slice(0, -1).map((part) => part.width + 1));
  const least = names + (last.least ?? last.width) + 1 + SPARK.least;
  const shown = fitting(
    columns.filter(
      ({ groupsOnly, saidBy }) => saidBy !== by && !(groupsOnly && by === "connection"),
    ),
    width - least,
  );
  // Shared out in this order.
  let left = width - least - widthOf(shown);
  const take = (most: number): number => {
    const taken = Math.max(0, Math.min(left, most));
    left -= taken;
    return taken;
  };
  let room = (last.least ?? last.width) + take(last.width - (last.least ?? last.width));
  let spark: number = SPARK.least;
  spark += take(SPARK.usual - spark);
  room += take(LONG_NAME - room);
  spark += take(SPARK.most - spark);
  if (left < 0) spark = Math.max(0, spark + left);
  return {
    parts: parts.map((part) => ({ ...part, room: part === last ? room : part.width })),
    columns: shown,
    spark,
  };
}

export const sparkTitle = rateOrder.title;

// --- internal ---

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

/** Each with the blank before it. */
const widthOf = (shown: readonly Column[]): number => sum(shown.map(({ width }) => width + 1));

function fitting(shown: readonly Column[], most: number): readonly Column[] {
  if (widthOf(shown) <= most) return shown;
  const spare = Math.min(...shown.map((column) => column.spare ?? Infinity));
  if (spare === Infinity) return shown;
  return fitting(
    shown.filter((column) => column.spare !== spare),
    most,
  );
}
