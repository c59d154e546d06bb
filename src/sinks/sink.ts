/** A place that the events of a trace go to. */
import type { ClockPair } from "../conn/clock.ts";
import type { TracedEvent } from "../conn/identity.ts";
import type { Loss } from "../output/losses.ts";
import type { Records } from "../record/records.ts";
import type { Describe } from "../trace/trace.ts";

/**
 * To add one: a file in this folder, and a row where sinks are chosen (src/commands/follow.ts, src/library/tracer.ts).
 * Everything is optional; a sink that throws ends the trace, after the end of every sink.
 */
export interface Sink {
  /** In the order of time. The event is the sink's to keep, but not to change. */
  event?(event: TracedEvent, clocks: ClockPair): void;
  /** For a sink that can do with a struct event as it is; `false`: it cannot do with this one, which comes as an event. */
  record?(view: DataView, p: number, clocks: ClockPair, describe: Describe): boolean;
  /** The same of several: see EventSink.records. */
  records?(of: Records, clocks: ClockPair, describe: Describe): number;
  /** Whether it knows by itself of the records that a sink before it has taken: they do not come as events. */
  readonly carried?: boolean;
  /** After the events of each poll. */
  tick?(): void;
  /** Now and then: all losses so far. */
  lost?(losses: Losses, now: Moment): void;
  /** Once, after everything else, also when a sink has thrown. `losses` asks for the losses as they are by then. */
  end?(losses: () => Losses, now: Moment): Promise<void>;
  /** Events that were lost here, so far. */
  losses?(): Loss[];
  /** No sink is to get a further event. */
  readonly full?: boolean;
  /** Of a sink that is full sometime: how many more events there may be. */
  readonly room?: number;
  /** The trace is to end with this poll. */
  readonly done?: boolean;
  /** Milliseconds until the next poll is wanted, whether or not something happens; left out: whenever. */
  readonly dueMs?: number;
}

/** Since the trace was opened. */
export interface Losses {
  /** On the way to the sinks. */
  before: readonly Loss[];
  /** The same and the sinks' own losses. A cause without losses is left out. */
  all: readonly Loss[];
}

export interface Moment {
  /** CLOCK_MONOTONIC. */
  atNs: bigint;
  clocks: ClockPair;
}
