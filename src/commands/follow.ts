/** From an open trace to lines: drain, convert, write, until there is a reason to stop. Impure only through its parameters. */

import { followStep, wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import type { Format } from "../output/index.ts";
import { Lines } from "../output/lines.ts";
import type { Loss } from "../output/losses.ts";
import type { LineWriter } from "../output/writer.ts";
import type { Recorder } from "../recording/recorder.ts";
import { allLosses, lossTeller } from "./losses.ts";

export interface FollowOptions {
  /** The last poll gives everything, also what would be better sorted after one more. */
  trace: {
    poll(last: boolean): ConnEvent[];
    sample(): void;
    losses(): Loss[];
    /** Blocks while there is nothing to do; false: it did not. */
    rest?(ms: number): boolean;
  };
  format: Format;
  writer: LineWriter;
  /** Saves the same events; what it could not save is a loss. */
  recorder?: Omit<Recorder, keyof AsyncDisposable> | null;
  /** Reads both clocks at the same moment. */
  clocks(): ClockPair;
  /** `null` = no limit. */
  durationMs: number | null;
  count: number | null;
  /** How often open connections are shown; `null` = never. */
  intervalMs: number | null;
  /** Aborted by SIGINT and SIGTERM. */
  stop: AbortSignal;
  warn(line: string): void;
}

export interface Summary {
  shown: number;
  losses: Loss[];
  /** The reader of stdout went away (`trace | head`), so nobody waits for a summary. */
  readerLeft: boolean;
}

const POLL_MS = 100;
/** How long the event loop may stand still while there is nothing to do. */
const REST_MS = 500;
/** After a signal, how long a reader that stands still may take for what is pending. */
const GRACE_MS = 2_000;

export async function follow(options: FollowOptions): Promise<Summary> {
  const { trace, format, writer, stop } = options;
  const deadline = performance.now() + (options.durationMs ?? Infinity);
  const losses = lossTeller(options);
  const lines = new Lines();
  let left = options.count ?? Infinity;
  let shown = 0;
  let fresh = options.clocks();
  let clocks = fresh;
  const intervalMs = options.intervalMs ?? Infinity;
  let sampleAt = performance.now() + intervalMs;
  if (format.header !== null) writer.pushAside(format.header);
  for (;;) {
    // Read before the poll, so that the last poll sees whatever happened before the reason to stop.
    const last = stop.aborted || performance.now() >= deadline;
    fresh = options.clocks();
    clocks = followStep(clocks, fresh);
    const now = performance.now();
    // Their lines come with the events of the same time, in order. Intervals that were missed are not made up for.
    if (now >= sampleAt || (last && intervalMs !== Infinity)) {
      trace.sample();
      sampleAt += intervalMs * (1 + Math.max(0, Math.floor((now - sampleAt) / intervalMs)));
    }
    const events = trace.poll(last).slice(0, left);
    for (const event of events) {
      if (format.append === undefined) lines.line(format.line(event, wallTime(event.atNs, clocks)));
      else format.append(lines, event, clocks);
    }
    options.recorder?.take(events, clocks);
    const taken = writer.pushLines(lines);
    shown += taken;
    left -= taken;
    losses.tell(fresh.monoNs, clocks);
    if (last || left === 0 || writer.closed || writer.failure !== null) break;
    const room = Math.max(0, Math.min(deadline, sampleAt) - performance.now());
    // What is being written needs the event loop.
    const idle = events.length === 0 && writer.pending === 0 && !options.recorder?.pending;
    // After a rest the event loop gets its turn: a signal may be what has ended it.
    const rested = idle && (trace.rest?.(Math.min(REST_MS, room)) ?? false);
    await pause(rested ? 0 : Math.min(POLL_MS, room), stop);
  }
  await settle(writer, stop);
  losses.rest(fresh.monoNs, clocks);
  // Behind a reader that stands still nothing more is written.
  if (writer.pending === 0) await settle(writer, stop);
  await options.recorder?.end(fresh.monoNs, clocks);
  if (writer.failure !== null) throw writer.failure;
  return {
    shown: shown - writer.pending,
    losses: allLosses(options, BigInt(writer.pending)),
    readerLeft: writer.closed,
  };
}

/** Until all is written; once a signal has come, only for a while. */
export async function settle(writer: LineWriter, stop: AbortSignal): Promise<void> {
  const done = new AbortController();
  const settled = writer.settled().finally(() => done.abort());
  const impatience = pause(Infinity, AbortSignal.any([stop, done.signal])).then(() =>
    pause(GRACE_MS, done.signal),
  );
  await Promise.race([settled, impatience]);
}

/** Ends early, without an error, when `signal` is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  const longest = 2 ** 31 - 1;
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, Math.min(ms, longest));
    signal.addEventListener("abort", end);
  });
}
