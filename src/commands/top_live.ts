/** The live view on a terminal: ticks and keys in, screens out. */
import { timeOfDay, wallTime, type ClockPair } from "../conn/clock.ts";
import { Failure } from "../errors.ts";
import { sieve, type Filter } from "../filter/filter.ts";
import { localOffset } from "../kernel/local_time.ts";
import type { Namer } from "../names/named.ts";
import type { Loss } from "../output/losses.ts";
import type { Sink } from "../sinks/sink.ts";
import type { Tick } from "../top/facts.ts";
import type { Around } from "../top/footer.ts";
import { History } from "../top/history.ts";
import { press } from "../top/keys.ts";
import type { Model } from "../top/model.ts";
import { rowsKept, type Found } from "../top/rows.ts";
import { fitsOn, screenOf } from "../top/screen.ts";
import { inOrder, isFlags, queryOf, type View } from "../top/state.ts";
import type { CostMeter } from "./top_cost.ts";
import { openTerminal } from "./top_terminal.ts";

export interface LiveOptions {
  first: View;
  /** Rows at most. */
  most: number;
  /** Intervals; `null`: no limit. */
  count: number | null;
  model: Pick<Model, "choose">;
  /** Of the command line: it stays whatever is typed. */
  wanted: NonNullable<Parameters<Model["choose"]>[0]>;
  /** Throws a Failure. */
  parseFilter(text: string): Promise<Filter>;
  cost: CostMeter;
  clocks(): ClockPair;
  losses(): readonly Loss[];
  /** Ends the trace. */
  quit(): void;
  /** Whether the terminal has no more than ASCII. */
  plain: boolean;
}

export interface Live extends AsyncDisposable {
  show(tick: Tick): void;
  readonly view: View;
  sink: Sink;
}

/** Rows whose rates are kept for the picture. */
const MOST_RATES = 1_024;

export function liveView(options: LiveOptions): Live {
  const { model, cost, wanted } = options;
  let view = options.first;
  let history = new History();
  let newest: Tick | null = null;
  let shown: Tick | null = null;
  let around: Around | null = null;
  let message: string | null = null;
  let namer: Namer | null = null;
  let ticks = 0;

  const kept = rowsKept();
  const most = Math.max(options.most, MOST_RATES);
  const found = (tick: Tick): Found => {
    const { rows, count } = kept(tick, queryOf(view, most));
    return inOrder({ rows: rows.slice(0, options.most), count }, view.frozen);
  };
  const draw = (): void => {
    if (shown === null || around === null) return;
    const rows = found(shown);
    const size = terminal.size();
    if (view.names) for (const { event } of rows.rows.slice(0, size.rows)) namer?.name(event);
    terminal.draw(
      screenOf({
        view,
        tick: shown,
        found: rows,
        ratesOf: ({ key }) => history.of(key),
        around: { ...around, message },
        size,
        plain: options.plain,
      }),
    );
  };
  const nameAll = async (): Promise<void> => {
    namer ??= (await import("../names/named.ts")).openNamer();
    draw();
  };
  const choose = async (text: string): Promise<void> => {
    try {
      const filter = isFlags(text) ? sieve(await options.parseFilter(text)) : null;
      model.choose((event) => wanted(event) && (filter === null || filter.shows(event)));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      message = `the filter is not used: ${error.message}`;
      view = { ...view, filter: "" };
      model.choose(wanted);
      draw();
    }
  };
  const take = (tick: Tick): void => {
    shown = tick;
    const own = cost.read();
    const wallNs = wallTime(tick.atNs, options.clocks());
    const time = timeOfDay(wallNs, localOffset).slice(0, 8);
    around = { time, losses: options.losses(), ...own, message };
    if (tick.elapsedNs === 0n) return;
    const all = { ...queryOf(view, most), sort: "rate", reverse: false, ended: false, text: "" };
    history.push(kept(tick, all).rows, Number(tick.elapsedNs) / 1e9);
  };
  const pressed = (key: string): void => {
    if (newest === null) {
      if (key === "q") options.quit();
      return;
    }
    message = null;
    const before = view;
    view = press(view, key, { rows: found(shown!).rows, fits: fitsOn(terminal.size()) });
    if (view.quit) options.quit();
    if (view.by !== before.by || view.details !== before.details) history = new History();
    if (view.names && !before.names) void nameAll();
    if (view.filter !== before.filter && (isFlags(view.filter) || isFlags(before.filter)))
      void choose(view.filter);
    if (view.paused && !before.paused) shown = { ...shown!, ended: shown!.ended.copy() };
    if (!view.paused && before.paused && newest !== shown) take(newest);
  };
  const terminal = openTerminal({
    keys(keys) {
      for (const key of keys) pressed(key);
      draw();
    },
    changed: draw,
  });

  return {
    show(tick) {
      newest = tick;
      if (tick.elapsedNs > 0n) ticks += 1;
      if (view.paused) return;
      take(tick);
      draw();
    },
    get view() {
      return view;
    },
    sink: {
      get done() {
        return ticks === options.count;
      },
    },
    async [Symbol.asyncDispose]() {
      namer?.[Symbol.dispose]();
      await terminal[Symbol.asyncDispose]();
    },
  };
}
