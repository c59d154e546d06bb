/** The events of a trace, interval by interval, for the live view. Impure only through its parameters. */
import type { TracedEvent } from "../conn/identity.ts";
import { SETTLED_NS } from "../trace/running.ts";
import type { Tick } from "../top/facts.ts";
import type { Model } from "../top/model.ts";
import type { LoopOptions } from "./loop.ts";
import type { Sink } from "./sink.ts";

export interface TopOptions {
  trace: Omit<LoopOptions["trace"], "sample"> & { sample(): TracedEvent[] };
  model: Pick<Model, "observe" | "drop" | "cut">;
  /** CLOCK_MONOTONIC. */
  nowNs(): bigint;
  /** At the end of each interval; the first one is where counting begins. */
  ended(tick: Tick): void;
}

/** The samples of an interval come with a poll that begins so much later. */
const SAMPLES_MS = 2;

/**
 * An interval ends with the last sample: what is older belongs to it, and what is younger to the next one. `trace` is for
 * the loop, which asks it for the samples.
 */
export function topSink({ trace, model, nowNs, ended }: TopOptions): {
  sink: Sink;
  trace: LoopOptions["trace"];
} {
  /** The end of the interval whose events are still coming. */
  let untilNs: bigint | null = null;
  let beganNs: bigint | null = null;
  const cut = (): void => {
    if (untilNs === null) return;
    const atNs = untilNs;
    untilNs = null;
    ended(model.cut(atNs));
  };
  return {
    sink: {
      event(event) {
        if (untilNs !== null && event.atNs > untilNs) cut();
        model.observe(event);
      },
      get dueMs() {
        return untilNs === null ? Infinity : SAMPLES_MS;
      },
    },
    trace: {
      losses: () => trace.losses(),
      wait: (leastMs, mostMs, readerFd) => trace.wait(leastMs, mostMs, readerFd),
      sample() {
        cut();
        model.drop(trace.sample());
        untilNs = nowNs();
      },
      pollInto(into, last, enough) {
        beganNs ??= nowNs();
        if (!trace.pollInto(into, last, enough)) return false;
        // Later events may still come from other CPUs.
        if (untilNs !== null && (last || beganNs - SETTLED_NS > untilNs)) cut();
        beganNs = null;
        return true;
      },
    },
  };
}
