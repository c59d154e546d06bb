/** From an open trace to lines: drain, convert, write, until there is a reason to stop. Impure only through its parameters. */

import { followStep, wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import type { Format } from "../output/index.ts";
import { Lines } from "../output/lines.ts";
import type { Loss } from "../output/losses.ts";
import type { LineWriter } from "../output/writer.ts";
import type { Recorder } from "../recording/recorder.ts";
import type { EventSink } from "../trace/trace.ts";
import { allLosses, lossTeller } from "./losses.ts";

export interface FollowOptions {
  /** The last poll gives everything, also what would be better sorted after one more. */
  trace: {
    poll(last: boolean): ConnEvent[];
    /** The same for a format that can do with the kernel's records. */
    pollInto?(sink: EventSink, last: boolean): void;
    sample(): void;
    losses(): Loss[];
    /** See Trace; left out: after `leastMs`. */
    wait?(leastMs: number, mostMs: number, readerFd?: number): Promise<void>;
  };
  format: Format;
  writer: LineWriter;
  /** Where the output goes. */
  readerFd?: number;
  /** Whether nobody reads it any more, which a write would only tell when there is something to write. */
  readerGone?(): boolean;
  /** Saves the same events; what it could not save is a loss. */
  recorder?: Omit<Recorder, keyof AsyncDisposable> | null;
  /** Reads both clocks at the same moment. */
  clocks(): ClockPair;
  /** `null` = no limit. */
  durationMs: number | null;
  count: number | null;
  /** How often open connections are shown; `null` = never. */
  intervalMs: number | null;
  /** True for events that become lines; left out: all. Only these events count. */
  shows?(event: ConnEvent): boolean;
  /** Watches what is shown, and ends the trace once nothing is left to wait for. */
  expected?: { see(event: ConnEvent, wallNs: bigint): void; readonly met: boolean };
  /** Aborted by the signals that end a trace. */
  stop: AbortSignal;
  warn(line: string): void;
}

export interface Summary {
  shown: number;
  losses: Loss[];
  /** The reader of stdout went away (`trace | head`), so nobody waits for a summary. */
  readerLeft: boolean;
}

/** So much is handed on at once, that a burst takes no more memory than this and what the writer holds. */
const HANDED_BYTES = 1 << 20;
const POLL_MS = 100;
/** How long a poll may wait where nothing happens. */
const REST_MS = 5_000;
/** After a signal, how long a reader that stands still may take for what is pending. */
const GRACE_MS = 2_000;

export async function follow(options: FollowOptions): Promise<Summary> {
  const { trace, format, writer, stop, recorder = null } = options;
  const deadline = performance.now() + (options.durationMs ?? Infinity);
  const losses = lossTeller(options);
  const lines = new Lines();
  let left = options.count ?? Infinity;
  let shown = 0;
  let readerLeft = false;
  let fresh = options.clocks();
  let clocks = fresh;
  const intervalMs = options.intervalMs ?? Infinity;
  let sampleAt = performance.now() + intervalMs;
  /** For the recorder, of one poll. */
  const recorded: ConnEvent[] = [];
  const handOn = (): void => {
    const taken = writer.pushLines(lines);
    shown += taken;
    left -= taken;
  };
  const show = (event: ConnEvent): void => {
    if (lines.count >= left || options.shows?.(event) === false) return;
    if (format.append === undefined) lines.line(format.line(event, wallTime(event.atNs, clocks)));
    else format.append(lines, event, clocks);
    if (recorder !== null) recorded.push(event);
    options.expected?.see(event, wallTime(event.atNs, clocks));
    if (lines.used >= HANDED_BYTES) handOn();
  };
  const sink: EventSink = { event: show };
  const { appendRecord } = format;
  const looked = options.shows !== undefined || options.expected !== undefined || recorder !== null;
  if (appendRecord !== undefined && !looked && options.count === null)
    sink.record = (view, p, describe) => {
      if (lines.used >= HANDED_BYTES) handOn();
      return appendRecord(lines, view, p, clocks, describe);
    };
  const untilNext = (leastMs: number, mostMs: number): Promise<void> => {
    if (trace.wait === undefined) return pause(leastMs, stop);
    // Lines that are being written are told of soon.
    const writing = writer.pending > 0 || (recorder?.pending ?? 0) > 0;
    return orAborted(trace.wait(leastMs, writing ? leastMs : mostMs, options.readerFd), stop);
  };
  if (format.header !== null) writer.pushAside(format.header);
  using _alive = keptAlive();
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
    if (trace.pollInto === undefined) for (const event of trace.poll(last)) show(event);
    else trace.pollInto(sink, last);
    recorder?.take(recorded.splice(0), clocks);
    handOn();
    losses.tell(fresh.monoNs, clocks);
    const enough = left === 0 || options.expected?.met === true;
    readerLeft = writer.closed || options.readerGone?.() === true;
    if (last || enough || readerLeft || writer.failure !== null) break;
    const room = Math.max(0, Math.min(deadline, sampleAt) - performance.now());
    await untilNext(Math.min(POLL_MS, room), Math.min(REST_MS, room));
  }
  await settle(writer, stop);
  losses.rest(fresh.monoNs, clocks);
  // Behind a reader that stands still nothing more is written.
  if (writer.pending === 0) await settle(writer, stop);
  await recorder?.end(fresh.monoNs, clocks);
  if (writer.failure !== null) throw writer.failure;
  return {
    shown: shown - writer.pending,
    losses: allLosses(options, BigInt(writer.pending)),
    readerLeft: readerLeft || writer.closed,
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

/** A wait for the kernel alone would not keep the process from ending. */
function keptAlive(): Disposable {
  const timer = setInterval(() => {}, LONGEST_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Also over, without an error, when `signal` is aborted. */
function orAborted(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve();
    const end = () => {
      signal.removeEventListener("abort", end);
      resolve();
    };
    signal.addEventListener("abort", end);
    wait.then(end, reject);
  });
}

/** Of timers. */
const LONGEST_MS = 2 ** 31 - 1;

/** Ends early, without an error, when `signal` is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, Math.min(ms, LONGEST_MS));
    signal.addEventListener("abort", end);
  });
}
