/** The stocktaking of a running trace: a piece after each poll, and the records that wait for its end. */
import { readEvent, type Event } from "../../record/layout.gen.ts";
import { kindAt } from "../event.ts";
import type { Pieces, Working } from "../part.ts";
import type { EventQueue } from "../stream/queue.ts";
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
  /** Whether the record at `p` has to wait; it is kept then. */
  keep(view: DataView, p: number): boolean;
  /** Works for a while. */
  goOn(): void;
  /** Works to the end. */
  finish(): void;
  /** Calls `then` once all is listed. */
  after(then: () => void): void;
}

/**
 * Once all is listed, `queue` gets what was found and what has waited, and puts both in order with what happened meanwhile: a
 * sock that carried another connection before it was listed has records that are older.
 */
export function stockTaking(
  of: Checked,
  parts: readonly Working[],
  queue: EventQueue,
  between: () => void,
): StockTaking {
  const waits = waiting(parts);
  const kept: Event[] = [];
  let pieces: Pieces<Event[]> | null = takeStock(of, of.working, {
    waiting() {
      of.into.into(queue);
      return [...kept.splice(0), ...queue.extract(waits)];
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
    for (const event of found) queue.push(event);
    for (const event of kept.splice(0)) queue.push(event);
    for (const part of parts) part.stockTaken?.();
    const then = afterwards;
    afterwards = [];
    for (const call of then) call();
  };
  return {
    get taken() {
      return pieces === null;
    },
    keep(view, p) {
      if (!waits(view, p)) return false;
      kept.push(readEvent(view, p));
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
