/** The rates of rows in the last intervals, and their picture. Pure. */
import { rateOrder } from "./columns.ts";
import type { Row } from "./rows.ts";

/** As many as the widest picture has. */
const MOST_VALUES = 60;
/** Rows beyond so many are not remembered. */
const MOST_ROWS = 1_024;

/** Bytes per second, the newest last; `null`: not known. */
export type Rates = readonly (number | null)[];

export class History {
  #rates = new Map<string, (number | null)[]>();

  /** The busiest rows of an interval. */
  push(rows: readonly Row[], seconds: number): void {
    const next = new Map<string, (number | null)[]>();
    for (const row of rows.slice(0, MOST_ROWS)) {
      const rate = rateOrder.order(row) as number | null;
      next.set(
        row.key,
        added(this.#rates.get(row.key) ?? [], rate === null ? null : rate / seconds),
      );
    }
    // A row that is gone may come back.
    for (const [key, rates] of this.#rates) {
      if (next.size >= 2 * MOST_ROWS) break;
      if (!next.has(key) && rates.some((rate) => rate !== 0)) next.set(key, added(rates, 0));
    }
    this.#rates = next;
  }

  of(key: string): Rates {
    return this.#rates.get(key) ?? [];
  }
}

const bars = { plain: ".:-=+*#@", blocks: "▁▂▃▄▅▆▇█" } as const;

/** One character for each value; nothing moved: a blank. The highest bar is the highest value that is shown. */
export function sparkline(rates: Rates, width: number, kind: keyof typeof bars): string {
  const shown = rates.slice(-width);
  const most = Math.max(...shown.map((rate) => rate ?? 0), 0);
  const bar = (rate: number | null): string => {
    if (rate === null) return "?";
    if (rate === 0) return " ";
    return bars[kind][Math.min(7, Math.floor((8 * rate) / most))]!;
  };
  return shown.map(bar).join("").padStart(width);
}

// --- internal ---

const added = (rates: Rates, rate: number | null): (number | null)[] =>
  [...rates, rate].slice(-MOST_VALUES);
