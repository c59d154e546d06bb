/** The live view without a screen: a table or a JSON object for each interval. */
import { timeOfDay, wallTime, type ClockPair } from "../conn/clock.ts";
import { localOffset } from "../kernel/local_time.ts";
import type { Loss } from "../output/losses.ts";
import type { LineWriter } from "../output/writer.ts";
import type { Sink } from "../sinks/sink.ts";
import type { Tick } from "../top/facts.ts";
import { tickJson } from "../top/json.ts";
import { History } from "../top/history.ts";
import { rowsOf } from "../top/rows.ts";
import { tableOf } from "../top/screen.ts";
import { queryOf, type View } from "../top/state.ts";
import type { CostMeter } from "./top_cost.ts";

export interface BatchOptions {
  view: View;
  /** Rows at most. */
  most: number;
  /** Columns of a table. */
  columns: number;
  json: boolean;
  /** Whether the reader may know no more than ASCII. */
  plain: boolean;
  /** Intervals; `null`: no limit. */
  count: number | null;
  writer: LineWriter;
  readerGone(): boolean;
  cost: CostMeter;
  clocks(): ClockPair;
  losses(): readonly Loss[];
}

export function batchView(options: BatchOptions) {
  const { view, most, count, writer, cost, clocks } = options;
  const history = new History();
  let shown = 0;
  return {
    show(tick: Tick): void {
      const own = cost.read();
      // The first one is the base of the next.
      if (tick.elapsedNs === 0n || shown === count) return;
      const found = rowsOf(tick, queryOf(view, most));
      const wallNs = wallTime(tick.atNs, clocks());
      const losses = options.losses();
      if (options.json) {
        writer.pushAside(tickJson(tick, { by: view.by, ...found }, { wallNs, losses, ...own }));
      } else {
        const time = timeOfDay(wallNs, localOffset).slice(0, 8);
        const lines = tableOf({
          view,
          tick,
          found,
          ratesOf: ({ key }) => history.of(key),
          around: { time, losses, ...own, message: null },
          size: { columns: options.columns, rows: Infinity },
          plain: options.plain,
        });
        history.push(found.rows, Number(tick.elapsedNs) / 1e9);
        writer.pushAside([...lines, ""].join("\n"));
      }
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
