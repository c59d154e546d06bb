/** The counters of the family (state/telemetry.ts), of all that passes by. Pure. */
import type { TelemetryCounts } from "../state/telemetry.ts";
import type { Sink } from "./sink.ts";

export const telemetrySink = (counts: Pick<TelemetryCounts, "observe">): Sink => ({
  event: (event) => counts.observe(event),
});
