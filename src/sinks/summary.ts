/** Adds up the events that are shown. Pure. */
import { wallTime } from "../conn/clock.ts";
import type { Tally } from "../summary/tally.ts";
import type { Sink } from "./sink.ts";

export const summarySink = (tally: Pick<Tally, "add">): Sink => ({
  event: (event, clocks) => tally.add(event, wallTime(event.atNs, clocks)),
});
