/** The stocktaking of a running trace: a piece after each poll, and the records that wait for its end. */
import { EventView, type Event } from "../../record/layout.gen.ts";
import { kindAt } from "../event.ts";
import type { Pieces, Working } from "../part.ts";
import { EventQueue, type Each } from "../stream/queue.ts";
import type { Checked } from "./open_checked.ts";
import { takeStock } from "./stock.ts";

/**
 * So much of the time is taken between two polls, which come at once as long as there is more to do: live lines are no later
 * than usual. Where a poll takes longer, the stocktaking gets as much: else a busy host would never be listed.
 */
const PIECE_MS = 80;

export interface StockTaking extends Disposable {
  /** All is listed: no record has to wait any more. */
  readonly taken: boolean;
  /** All that was found has been taken as well. */
  readonly over: boolean;
  /** A `take` had enough and left some events to the next one. */
  readonly underWay: boolean;
  /** Whether the record at `p` has to wait; it is kept then. */
  keep(view: DataView, p: number): boolean;
  /** Works for a while. */
  goOn(): void;
  /** Works to the end. */
  finish(): void;
  /** Calls `then` once all is listed. */
  after(then: () => void): void;
  /** As EventQueue.take, of what was found and what has waited. */
  take(each: Each, enough?: () => boolean): boolean;
}

export function stockTaking(
  of: Checked,
  parts: readonly Working[],
  queue: EventQueue,
  between: () => void,
): StockTaking {
  const waits = waiting(parts);
  /** Events that have to wait, then those that are to be told. */
  const kept = new EventQueue();
  let pieces: Pieces<Event[]> | null = takeStock(of, of.working, {
    waiting() {
      of.into.into(queue);
      return [...kept.extract(() => true), ...queue.extract(waits)];
    },
    between,
  });
  let afterwards: (() => void)[] = [];
  let endedAt = performance.now();

  const work = (until: number): void => {
    while (pieces !== null) {
      const { done, value } = pieces.next();
      if (done) end(value);
      else if (performance.now() >= until) return;
      between();
    }
  };
  const end = (found: Event[]): void => {
    pieces = null;
    for (const event of found) kept.push(event);
    for (const part of parts) part.stockTaken?.();
    const then = afterwards;
    afterwards = [];
    for (const call of then) call();
  };
  return {
    get taken() {
      return pieces === null;
    },
    get over() {
      return pieces === null && kept.empty;
    },
    get underWay() {
      return kept.underWay;
    },
    keep(view, p) {
      if (!waits(view, p)) return false;
      kept.push(new EventView(view, p));
      return true;
    },
    goOn() {
      const now = performance.now();
      work(now + Math.max(PIECE_MS, now - endedAt));
      endedAt = performance.now();
    },
    finish: () => work(Infinity),
    after(then) {
      if (pieces === null) then();
      else afterwards.push(then);
    },
    take: (each, enough) => pieces !== null || kept.take(Infinity, each, enough),
    [Symbol.dispose]() {
      pieces?.return([]);
      pieces = null;
    },
  };
}

// --- internal ---

/** Whether some part can tell of the record at `p` only after the stocktaking. */
function waiting(parts: readonly Working[]): (view: DataView, p: number) => boolean {
  const kinds = new Set(
    parts.flatMap(({ needsStock, kinds = [] }) => (needsStock === true ? kinds : [])),
  );
  const asked = parts.flatMap(({ needsStock }) =>
    typeof needsStock === "function" ? needsStock : [],
  );
  return (view, p) => kinds.has(kindAt(view, p)) || asked.some((needs) => needs(view, p));
}
