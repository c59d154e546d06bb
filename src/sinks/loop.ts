/** The one loop from an open trace to its sinks: wait, drain, give, tell of losses, until there is a reason to stop. */
import { followStep, type ClockPair } from "../conn/clock.ts";
import type { Loss } from "../output/losses.ts";
import type { EventSink, Trace } from "../trace/trace.ts";
import { keptAlive, turn, untilAborted } from "./pause.ts";
import type { Losses, Moment, Sink } from "./sink.ts";

export interface LoopOptions {
  trace: Pick<Trace, "pollInto" | "wait"> & { sample(all?: boolean): unknown; losses(): Loss[] };
  /** Several are one by together.ts. */
  sink: Sink;
  /** Reads both clocks at the same moment. */
  clocks(): ClockPair;
  /** Aborted to end the trace, with one more poll. */
  stop: AbortSignal;
  /** Milliseconds between two polls at least; default 100. */
  pollMs?: number;
  /** `null` = no limit. */
  durationMs?: number | null;
  /** How often open connections are shown; `null` = never. Read anew each time, so that it may change. */
  readonly intervalMs?: number | null;
  /** Whether every open connection is shown at the end. */
  final?: boolean;
  /** The output's: a reader that goes away ends a wait. */
  readerFd?: number;
}

export interface Loop {
  /** Polls now and gives the sinks what is there, the rest of a poll that is under way included. */
  poll(last?: boolean): void;
  /**
   * Polls until the sinks are done, the time is over or `stop` is aborted, then ends the sinks. Throws what a sink has
   * thrown, after the end of them all.
   */
  run(): Promise<void>;
  /** No further poll, not even a last one: the trace may be closed. `run` ends once its wait is over. */
  cancel(): void;
  losses(): Losses;
  /** Whether `run` keeps the process alive; it does unless told otherwise. */
  ref(): void;
  unref(): void;
}

const POLL_MS = 100;
/**
 * How long a poll may wait where nothing happens: each poll wakes some threads of the runtime, and runs code that the runtime
 * has thrown away since the last one, some 6 million instructions and as many of its compilers. Parts whose work is due sooner say so (dueMs).
 */
const REST_MS = 60_000;
/** Losses come in floods; one line per second says the same. */
const TELL_MS = 1_000;
/** The event loop gets a turn so often, also while a burst is made into lines. */
const TURN_MS = 10;

export function openLoop(options: LoopOptions): Loop {
  const { trace, sink, stop, pollMs = POLL_MS, final = false } = options;
  let now: Moment = momentAfter(null, options.clocks());
  let toldAt = -Infinity;
  let underWay = false;
  let over = false;
  const alive = keptAlive();
  const into: EventSink = { event: (event) => sink.event?.(event, now.clocks) };
  if (sink.record !== undefined)
    into.record = (view, p, describe) => sink.record!(view, p, now.clocks, describe);
  if (sink.records !== undefined)
    into.records = (of, describe) => sink.records!(of, now.clocks, describe);

  const losses = (): Losses => {
    const before = trace.losses();
    const all = [...before, ...(sink.losses?.() ?? [])].filter(({ count }) => count > 0n);
    return { before, all };
  };
  const begin = (last: boolean): void => {
    over ||= last;
    now = momentAfter(now.clocks, options.clocks());
  };
  const polled = (): void => {
    sink.tick?.();
    if (sink.lost === undefined || performance.now() - toldAt < TELL_MS) return;
    toldAt = performance.now();
    sink.lost(losses(), now);
  };
  const inTurns = async (last: boolean): Promise<void> => {
    begin(last);
    for (;;) {
      const until = performance.now() + TURN_MS;
      underWay = !trace.pollInto(into, last, () => performance.now() >= until);
      if (!underWay) return polled();
      await turn();
      // Somebody may have polled meanwhile, or ended the trace.
      if (!last && (over || !underWay)) return;
    }
  };
  const turns = async (): Promise<void> => {
    const deadline = performance.now() + (options.durationMs ?? Infinity);
    let sampledAt = performance.now();
    while (!over) {
      const intervalMs = options.intervalMs ?? Infinity;
      // Read before the poll, so that the last poll sees whatever happened before the reason to stop.
      const last = stop.aborted || performance.now() >= deadline;
      const at = performance.now();
      // Their lines come with the events of the same time, in order. Intervals that were missed are not made up for.
      const missed = Math.floor((at - sampledAt) / intervalMs);
      if (missed >= 1 || (last && (final || intervalMs !== Infinity))) {
        trace.sample(last && final);
        sampledAt += intervalMs * Math.max(1, missed);
      }
      await inTurns(last);
      if (last || over || sink.done === true) return;
      const room = Math.max(0, Math.min(deadline, sampledAt + intervalMs) - performance.now());
      const most = Math.min(sink.dueMs ?? Infinity, REST_MS, room);
      await untilAborted(trace.wait(Math.min(pollMs, most), most, options.readerFd), stop);
    }
  };

  return {
    poll(last = false) {
      // As the end of a poll that is under way.
      if (underWay) trace.pollInto(into, last);
      underWay = false;
      begin(last);
      trace.pollInto(into, last);
      polled();
    },
    cancel() {
      over = true;
    },
    async run() {
      try {
        await turns().catch(async (error: unknown) => {
          await sink.end?.(losses, now).catch(() => {});
          throw error;
        });
        await sink.end?.(losses, now);
      } finally {
        over = true;
        alive[Symbol.dispose]();
      }
    },
    losses,
    ref: () => alive.ref(),
    unref: () => alive.unref(),
  };
}

// --- internal ---

const momentAfter = (held: ClockPair | null, fresh: ClockPair): Moment => ({
  atNs: fresh.monoNs,
  clocks: held === null ? fresh : followStep(held, fresh),
});
