/** Ends the trace after so many lines, also in the middle of a poll. Pure. */
import type { LineSink } from "./lines.ts";
import type { Sink } from "./sink.ts";

/** A line that a slow reader was not given does not count. */
export const countSink = (most: number, lines: Pick<LineSink, "made">): Sink => ({
  get full() {
    return lines.made >= most;
  },
  get room() {
    return Math.max(0, most - lines.made);
  },
  get done() {
    return lines.made >= most;
  },
});
