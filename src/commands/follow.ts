/** The sinks of the command: lines, a recording, expectations. Impure only through its parameters. */

import type { TracedEvent } from "../conn/identity.ts";
import type { Expected } from "../filter/expect.ts";
import type { Format } from "../output/index.ts";
import type { Loss } from "../output/losses.ts";
import type { LineWriter } from "../output/writer.ts";
import type { Recorder } from "../recording/recorder.ts";
import { countSink } from "../sinks/count.ts";
import { expectationSink } from "../sinks/expectation.ts";
import { lineSink, type LineSink } from "../sinks/lines.ts";
import { openLoop, type LoopOptions } from "../sinks/loop.ts";
import { recordingSink } from "../sinks/recording.ts";
import type { Sink } from "../sinks/sink.ts";
import { summarySink } from "../sinks/summary.ts";
import { sieved, together } from "../sinks/together.ts";
import type { Tally } from "../summary/tally.ts";
import { lossWarner } from "./losses.ts";

/** Tells others of the events that are shown, whenever they ask. */
export interface Exporter {
  readonly sink: Sink;
  /** Called once, before the first poll. */
  begin(fresh: Fresh): Promise<void>;
  /** Open connections that are gone though no end of them was told. */
  gone(events: readonly TracedEvent[]): void;
}

export interface Fresh {
  /** Brings the sinks of exporters up to date. */
  poll(): void;
  /** All causes so far, also those without losses. */
  losses(): readonly (Loss & { unit?: "datagram" })[];
}

export interface FollowOptions extends Pick<
  LoopOptions,
  "clocks" | "stop" | "durationMs" | "intervalMs" | "final" | "readerFd"
> {
  trace: Omit<LoopOptions["trace"], "sample"> & {
    sample(all?: boolean): readonly TracedEvent[] | void;
  };
  format: Format;
  writer: LineWriter;
  /** Whether nobody reads the lines any more, which a write would only tell when there is something to write. */
  readerGone?(): boolean;
  /** Saves the events that are shown; `null` = nobody does. */
  recorder?: Omit<Recorder, keyof AsyncDisposable> | null;
  /** How many lines there may be; `null` = no limit. */
  count: number | null;
  /** True for events that are shown; left out: all. Only these events count. A format that sifts asks the same of records. */
  shows?(event: TracedEvent): boolean;
  /** Waits for some of the events that are shown. */
  expected?: Pick<Expected, "see" | "met">;
  /** It gets the events that are shown, and samples for itself where no interval is given; `null` = there is none. */
  exporter?: Exporter | null;
  /** Adds up the events that are shown; `null` = nobody does. */
  tally?: Pick<Tally, "add"> | null;
  /** These get every event, whether it is shown or not. */
  watching?: readonly Sink[];
  warn(line: string): void;
}

export interface Summary {
  shown: number;
  losses: readonly Loss[];
  /** The reader of stdout went away (`trace | head`), so nobody waits for a summary. */
  readerLeft: boolean;
}

/**
 * The sinks of events that are shown, in the order in which they get each event, and in which they end. To add one, add a
 * row; `null`: it was not asked for.
 */
const shownTo: readonly ((asked: FollowOptions, lines: LineSink) => Sink | null)[] = [
  (_, lines) => lines,
  ({ recorder = null, format, warn }) =>
    recorder && recordingSink(recorder, warn, format.carries === true),
  ({ expected, format }) =>
    expected === undefined ? null : expectationSink(expected, format.carries === true),
  ({ tally = null }) => tally && summarySink(tally),
  ({ count }, lines) => (count === null ? null : countSink(count, lines)),
];

export async function follow(options: FollowOptions): Promise<Summary> {
  const { shows, watching = [], exporter = null, warn } = options;
  const lines = lineSink(options);
  const isAsked = (options.intervalMs ?? null) !== null;
  const asked = shownTo.flatMap((open) => open(options, lines) ?? []);
  // Samples that nobody asked for are for the exporter alone; those at the end are asked for.
  let atEnd = false;
  const isWanted = ({ kind }: TracedEvent) => kind !== "sample" || atEnd;
  const others =
    exporter === null || isAsked ? asked : asked.map((sink) => sievedEvents(isWanted, sink));
  const shown = together([...(exporter === null ? [] : [exporter.sink]), ...others]);
  // A sink beside the lines would get the records that the lines leave out.
  const alone = asked.every(
    (sink) => sink === lines || sink.carried === true || sink.event === undefined,
  );
  const sifts = options.format.sifts === true && exporter === null && alone;
  const chosen = shows === undefined ? shown : sieved((event) => shows(event), shown, sifts);
  const sink = together([...watching, chosen, lossWarner(warn)]);
  const trace: FollowOptions["trace"] = {
    ...options.trace,
    sample(all) {
      atEnd = all === true;
      const gone = options.trace.sample(all) ?? [];
      exporter?.gone(gone);
      return gone;
    },
  };
  const loop = openLoop({ ...options, trace, sink });
  if (exporter !== null) {
    const { pollFresh } = await import("../sinks/fresh.ts");
    await exporter.begin({
      // Where samples are shown, further ones would make a connection seem to rest.
      poll: () => (isAsked ? loop.poll() : pollFresh(trace, loop)),
      losses: () => [...trace.losses(), ...(sink.losses?.() ?? [])],
    });
  }
  await loop.run();
  return { shown: lines.shown, losses: loop.losses().all, readerLeft: lines.readerLeft };
}

/** The same sink, for events that are no samples. */
export const withoutSamples = (sink: Sink): Sink =>
  sievedEvents(({ kind }) => kind !== "sample", sink);

// --- internal ---

const sievedEvents = (shows: (event: TracedEvent) => boolean, sink: Sink): Sink =>
  sink.event === undefined ? sink : sieved(shows, sink);
