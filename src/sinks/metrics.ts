/** Counts the events that are shown into metrics. Pure. */
import type { EventCounts } from "../metrics/count.ts";
import type { Sink } from "./sink.ts";

export const metricsSink = (counts: Pick<EventCounts, "observe" | "losses">): Sink => ({
  event: (event) => counts.observe(event),
  losses: () => counts.losses(),
});
