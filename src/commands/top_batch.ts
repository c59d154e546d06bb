/** The live view without a screen: a table or a JSON object for each interval. */
import type { ClockPair } from "../conn/clock.ts";
import { wallTime } from "../conn/clock.ts";
import type { Loss } from "../output/losses.ts";
import type { LineWriter } from "../output/writer.ts";
import type { Sink } from "../sinks/sink.ts";
import type { Tick } from "../top/facts.ts";
import type { TopGrouping } from "../top/groupings.ts";
import { tickJson } from "../top/json.ts";
import { rowsOf } from "../top/rows.ts";
import type { CostMeter } from "./top_cost.ts";

export interface BatchOptions {
  by: TopGrouping;
  sort: string;
  most: number;
  json: boolean;
  /** Intervals; `null`: no limit. */
  count: number | null;
  writer: LineWriter;
  readerGone(): boolean;
  cost: CostMeter;
  clocks(): ClockPair;
  losses(): readonly Loss[];
}

export function batchView(options: BatchOptions) {
  const { by, sort, most, count, writer, cost, clocks } = options;
  let shown = 0;
  return {
    show(tick: Tick): void {
      const own = cost.read();
      // The first one is the base of the next.
      if (tick.elapsedNs === 0n || shown === count) return;
      const found = rowsOf(tick, { by, sort, most, reverse: false, ended: false, within: null });
      const wallNs = wallTime(tick.atNs, clocks());
      const around = { wallNs, losses: options.losses(), ...own };
      writer.pushAside(tickJson(tick, { by, ...found }, around));
      shown += 1;
    },
    sink: {
      async end() {
        await writer.settled();
        if (writer.failure !== null) throw writer.failure;
      },
      get done() {
        return shown === count || writer.closed || writer.failure !== null || options.readerGone();
      },
    } satisfies Sink,
  };
}
