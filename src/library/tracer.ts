/** A running trace for programs: its events as they come, and what has moved since a client last asked. */
import { wallTime } from "../conn/clock.ts";
import type { TracedEvent } from "../conn/identity.ts";
import { Failure } from "../errors.ts";
import type { GuessReport } from "../guess/report.ts";
import { readClocks } from "../kernel/clock.ts";
import type { AttachMode } from "../kernel/host.ts";
import { ATTACH_MODES } from "../kernel/modes.ts";
import { checkOptions, flag, number, oneOf, whole, type Rule } from "../options.ts";
import type { Telemetry } from "../record/layout.gen.ts";
import { batchSink, SHORT } from "../sinks/batch.ts";
import { pollFresh } from "../sinks/fresh.ts";
import { openLoop } from "../sinks/loop.ts";
import type { Sink } from "../sinks/sink.ts";
import { telemetrySink } from "../sinks/telemetry.ts";
import { together } from "../sinks/together.ts";
import {
  ConnectionState,
  type Deltas,
  type StateCounts,
  type StateOptions,
} from "../state/state.ts";
import { TelemetryCounts } from "../state/telemetry.ts";
import { telemetryLosses, type LossCount } from "../trace/health/losses.ts";
import type { Trace } from "../trace/trace.ts";
import { openTrace } from "../trace/tracer.ts";
import { createReader, type Reader } from "./reader.ts";

export interface TracerOptions extends StateOptions {
  /** Default "auto": kprobes where the kernel has them, else raw tracepoints. */
  attach?: AttachMode | "auto";
  /** A report of `guessOffsets()`, or the path of a saved one. Used if it is of the running kernel, else it guesses. */
  offsets?: GuessReport | string;
  /** Milliseconds between two looks into the kernel's rings; 10 to 1000, default 100. */
  pollMs?: number;
  /** Whether connections of this process are shown too. Default true. */
  self?: boolean;
  /** Whether events have the command line of their process. Default false. */
  args?: boolean;
}

export interface ReaderOptions {
  /** Ends the reader, after what waits for it. */
  signal?: AbortSignal;
  /** Events that may wait for this reader; further ones are dropped and counted in `losses()`. Default 65,536. */
  maxWaiting?: number;
}

/**
 * Everything but `losses()`, `telemetry()`, `counts()` and the texts throws a Failure once the tracer is closed, or when
 * the rings can no longer be read.
 */
export interface Tracer extends Disposable, AsyncDisposable {
  /** "tracing TCP with kprobes on Linux 6.12.1, offsets guessed in 92 ms" */
  readonly description: string;
  /** Values that will be missing or unknown on this host, one sentence each. */
  readonly notes: readonly string[];
  /**
   * Every event from now on, in order of time (but see docs/kernels.md, "Two ways to attach"), for each reader. It ends when the
   * tracer is closed or `signal` is aborted, and keeps the process alive until then.
   */
  events(options?: ReaderOptions): AsyncIterableIterator<TracedEvent>;
  /** Looks into the rings now. Readers and clients get the same events. */
  poll(): TracedEvent[];
  /** From now on this client gets deltas. One that does not ask for two minutes (`clientIdleMs`) is removed. */
  registerClient(id: string): void;
  /** False: there was no such client. */
  removeClient(id: string): boolean;
  /**
   * The bytes moved since this client last asked, by open connections and UDP flows as they are now. Takes 3 ms, and some more
   * per thousand connections; readers of `events()` get a "sample" for each that has moved. Throws a Failure when the client
   * is not registered.
   */
  connections(id: string): Deltas;
  /** Losses by cause since the tracer was opened; a cause without losses has 0. */
  losses(): LossCount[];
  /** The 17 counters, see src/state/telemetry.ts. */
  telemetry(): Telemetry;
  /** How the state layer fares: clients, open connections, what was dropped or told twice. */
  counts(): StateCounts;
  /** Nanoseconds since 1970 (UTC) of an event's `atNs`. */
  wallTimeNs(atNs: bigint): bigint;
  /** Detaches. The readers of `events()` still get what was there. Closing twice does nothing. */
  close(): void;
}

const POLL_MS = { least: 10, most: 1000, usual: 100 };
const MAX_WAITING = 65_536;
/** Events that a slow reader was not given. */
export const EVENTS_UNREAD = "events() read too slowly";

/** To add an option, add its row. */
const TRACER_RULES: Readonly<Record<keyof TracerOptions, Rule>> = {
  attach: oneOf(...ATTACH_MODES),
  offsets: (value) =>
    typeof value === "string" || (typeof value === "object" && value !== null)
      ? null
      : "a report or a path",
  pollMs: number(POLL_MS.least, POLL_MS.most),
  self: flag,
  args: flag,
  maxEnded: whole(0, Number.MAX_SAFE_INTEGER),
  clientIdleMs: number(0, Infinity),
};
const READER_RULES: Readonly<Record<keyof ReaderOptions, Rule>> = {
  signal: (value) => (value instanceof AbortSignal ? null : "an AbortSignal"),
  maxWaiting: whole(0, Number.MAX_SAFE_INTEGER),
};

/**
 * Guesses, loads, attaches, checks itself with a connection of its own. Needs root. Blocks the thread for the time of the
 * guess. Throws a Failure (PrivilegeError, UnsupportedError, VerifierError, GuessError) that says why this host cannot.
 */
export async function openTracer(options: TracerOptions = {}): Promise<Tracer> {
  checkOptions("openTracer()", options, TRACER_RULES);
  const { attach = "auto", offsets, self = true, args = false, pollMs = POLL_MS.usual } = options;
  const trace = await openTrace({
    attach,
    self,
    args,
    sampling: true,
    debug: false,
    ...(typeof offsets === "string" ? { offsetsFile: offsets } : {}),
    ...(typeof offsets === "object" ? { offsets } : {}),
  });
  // The notes are complete only then.
  trace.takeStock();
  return running(trace, pollMs, options);
}

// --- internal ---

function running(trace: Trace, pollMs: number, options: TracerOptions): Tracer {
  const state = new ConnectionState(options);
  const seen = new TelemetryCounts();
  const readers = new Set<Reader<TracedEvent>>();
  /** The number of events that readers dropped which are gone. */
  let dropped = 0n;
  let failure: unknown = null;
  let lossesAtEnd: LossCount[] | null = null;
  let newest: TracedEvent[] = [];
  const stop = new AbortController();
  /** To add a sink, add a row. Each gets every event, in this order. */
  const sinks: readonly Sink[] = [
    telemetrySink(seen),
    batchSink((events) => state.observe(events, performance.now()), SHORT),
    batchSink((events) => readers.forEach((reader) => reader.push(events)), SHORT),
    batchSink((events) => void (newest = events)),
  ];
  const loop = openLoop({
    trace,
    sink: together(sinks),
    clocks: readClocks,
    stop: stop.signal,
    pollMs,
  });
  // Only somebody who reads waits for events.
  loop.unref();
  // The first events are for a reader that is made right after the opening.
  setTimeout(() => void loop.run().catch(fail), pollMs).unref();

  const finish = (...error: [] | [unknown]) => {
    loop.cancel();
    stop.abort();
    lossesAtEnd = trace.losses();
    void trace[Symbol.asyncDispose]();
    for (const reader of [...readers]) reader.end(...error);
  };
  const fail = (error: unknown) => {
    failure = error;
    finish(error);
  };
  const mustRun = () => {
    if (failure !== null) throw failure;
    if (lossesAtEnd !== null) throw new Failure("the tracer: it is closed");
  };
  const losses = (): LossCount[] => {
    const unread = [...readers].reduce((sum, reader) => sum + reader.dropped, dropped);
    const own = { cause: EVENTS_UNREAD, count: unread };
    return [...(lossesAtEnd ?? trace.losses()), own];
  };

  return {
    description: trace.description,
    notes: trace.notes,
    events(options = {}) {
      mustRun();
      checkOptions("events()", options, READER_RULES);
      const { signal, maxWaiting = MAX_WAITING } = options;
      const end = () => reader.end();
      const reader = createReader<TracedEvent>(maxWaiting, () => {
        signal?.removeEventListener("abort", end);
        dropped += reader.dropped;
        readers.delete(reader);
        if (readers.size === 0) loop.unref();
      });
      readers.add(reader);
      loop.ref();
      signal?.addEventListener("abort", end);
      if (signal?.aborted) end();
      return reader;
    },
    poll() {
      mustRun();
      loop.poll();
      return newest;
    },
    registerClient(id) {
      mustRun();
      // Events before this moment are not for this client.
      loop.poll();
      state.register(id, performance.now());
    },
    removeClient(id) {
      mustRun();
      return state.remove(id);
    },
    connections(id) {
      mustRun();
      state.drop(pollFresh(trace, loop), performance.now());
      return state.take(id, performance.now());
    },
    losses,
    telemetry: () => seen.telemetry(sourcesOf(state.counts(), losses())),
    counts: () => state.counts(),
    wallTimeNs: (atNs) => wallTime(atNs, readClocks()),
    close() {
      if (lossesAtEnd !== null) return;
      try {
        loop.poll(true);
      } finally {
        finish();
      }
    },
    [Symbol.dispose]() {
      this.close();
    },
    async [Symbol.asyncDispose]() {
      this.close();
    },
  };
}

function sourcesOf(counts: StateCounts, losses: LossCount[]) {
  const { repeatedCloses, repeatedFailures, datagramsSent } = counts;
  return { repeatedCloses, repeatedFailures, datagramsSent, ...telemetryLosses(losses) };
}
