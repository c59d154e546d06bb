/** Watches what is shown, and ends the trace once nothing is left to wait for. Pure. */
import { wallTime } from "../conn/clock.ts";
import type { Expected } from "../filter/expect.ts";
import type { Sink } from "./sink.ts";

export const expectationSink = (expected: Pick<Expected, "see" | "met">): Sink => ({
  event: (event, clocks) => expected.see(event, wallTime(event.atNs, clocks)),
  get done() {
    return expected.met;
  },
});
