/** What has been lost, asked of the kernel: the programs' counters, and how often programs were not run. */
import type { AttachMode } from "../../kernel/host.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import { Counter, Loss, type TraceProgram } from "../../record/layout.gen.ts";
import {
  countLosses,
  DATAGRAMS_MISSED,
  missedByAny,
  notRescued,
  PROCESS_MISSED,
  ringLoss,
  settling,
  ACCEPT_MISSED,
  STATE_MISSED,
  type LossCount,
} from "./losses.ts";
import { batchByTool, birthPrograms, missedIsLost, udpPrograms } from "../opening/programs.ts";

export interface LossSource {
  /** The programs' counter of an enum loss. */
  counted(cause: number): bigint;
  /** `over`: nothing is to come any more. */
  all(over: boolean): LossCount[];
}

/** `lostByRings`: records that found no room, as the rings tell. */
export function lossSource(
  shim: Shim,
  object: KernelObject,
  mode: AttachMode,
  lostByRings: () => number,
): LossSource {
  const settled = { changes: settling(), lengths: settling(), births: settling() };
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
    if (object.loaded(batchByTool)) return told;
    return ringLoss(lostByRings(), told, counted(Counter.COUNTER_EVENT_SPILLED));
  };
  return {
    counted,
    all(over) {
      const now = performance.now();
      const missed = (of: keyof typeof settled, programs: readonly TraceProgram[], twins: number) =>
        settled[of](notRescued(missedByAny(misses(programs)), counted(twins)), now, over);
      const changes = missed("changes", missedIsLost[mode], Counter.COUNTER_STATE_RESCUED);
      const lengths = missed("lengths", udpPrograms, Counter.COUNTER_LENGTH_RESCUED);
      const births = missed("births", birthPrograms, Counter.COUNTER_BIRTH_RESCUED);
      return countLosses(
        (cause) => (cause === Loss.LOSS_EVENT_RING_FULL ? ofRings() : counted(cause)),
        [
          { cause: mode === "kprobe" ? ACCEPT_MISSED : STATE_MISSED, count: changes },
          { cause: DATAGRAMS_MISSED, count: lengths },
          { cause: PROCESS_MISSED, count: births },
        ],
      );
    },
  };
}
