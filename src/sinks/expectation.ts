/** Watches what is shown, and ends the trace once nothing is left to wait for. Pure. */
import { wallTime } from "../conn/clock.ts";
import type { Expected } from "../filter/expect.ts";
import type { Sink } from "./sink.ts";

/** `carried`: see Sink. */
export const expectationSink = (
  expected: Pick<Expected, "see" | "met">,
  carried = false,
): Sink => ({
  event: (event, clocks) => expected.see(event, wallTime(event.atNs, clocks)),
  carried,
  get done() {
    return expected.met;
  },
});
