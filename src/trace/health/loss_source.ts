/** Asks the kernel for losses: the programs' counters, and how often programs were not run. */
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import { Counter, Loss, type TraceProgram } from "../../record/layout.gen.ts";
import {
  countedOnce,
  countLosses,
  missedByAny,
  notRescued,
  ringLoss,
  settling,
  type LossCount,
} from "./losses.ts";

export interface LossSource {
  /** The programs' counter of an enum loss. */
  counted(cause: number): bigint;
  /** `over`: nothing is to come any more. */
  all(over: boolean): LossCount[];
}

/** Programs that missed events because they were busy, and what that means. */
export interface MissedBy extends Omit<LossCount, "count"> {
  programs: readonly TraceProgram[];
  /** Index in the map `losses`: what backup programs have done for them. */
  rescued: number | undefined;
}

/** `batch`: the program that sends batches. `lostByRings`: records that found no room, as the rings tell. */
export function lossSource(
  shim: Shim,
  object: KernelObject,
  missed: readonly MissedBy[],
  batch: TraceProgram,
  lostByRings: () => number,
): LossSource {
  const settled = missed.map((of) => ({ ...of, settle: settling() }));
  const value = new BigUint64Array(1);
  const fd = object.mapFd("losses");
  const counted = (cause: number): bigint => {
    shim.mapLookup(fd, Uint32Array.of(cause), value);
    return value[0]!;
  };
  const misses = (programs: readonly TraceProgram[]): number[] =>
    programs
      .filter((program) => object.loaded(program))
      .map((program) => shim.progMisses(object.progFd(program)) ?? 0);
  const ofRings = (): bigint => {
    const told = counted(Loss.LOSS_EVENT_RING_FULL);
    // A batch that was refused is a record to the ring, and is sent again.
    if (object.loaded(batch)) return told;
    const elsewhere = NO_LOST_EVENTS.reduce((sum, counter) => sum + counted(counter), 0n);
    return ringLoss(lostByRings(), told, elsewhere);
  };
  return {
    counted,
    all(over) {
      const now = performance.now();
      let missedEvents = 0n;
      const more = settled.map(({ programs, rescued, settle, ...loss }) => {
        const byBackups = rescued === undefined ? 0n : counted(rescued);
        const lost = notRescued(missedByAny(misses(programs)), byBackups);
        if (loss.unit === undefined) missedEvents += lost;
        return { ...loss, count: settle(lost, now, over) };
      });
      const losses = countLosses(
        (cause) => (cause === Loss.LOSS_EVENT_RING_FULL ? ofRings() : counted(cause)),
        more,
      );
      return countedOnce(losses, missedEvents);
    },
  };
}

// --- internal ---

/** Records that found no room in a ring and are no lost events. To add one, add its counter. */
const NO_LOST_EVENTS = [
  Counter.COUNTER_EVENT_SPILLED,
  Counter.COUNTER_LOOK_LOST,
  Counter.COUNTER_SEGMENTS_LOST,
];
