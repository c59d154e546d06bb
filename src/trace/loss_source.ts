/** What has been lost, asked of the kernel: the programs' counters, and how often programs were not run. */
import type { AttachMode } from "../kernel/host.ts";
import type { KernelObject } from "../kernel/object.ts";
import type { Shim } from "../kernel/shim.ts";
import { Loss, type TraceProgram } from "../record/layout.gen.ts";
import {
  countLosses,
  DATAGRAMS_MISSED,
  missedByAny,
  notRescued,
  PROCESS_MISSED,
  ringLoss,
  ACCEPT_MISSED,
  STATE_MISSED,
  type LossCount,
} from "./losses.ts";
import { birthPrograms, missedIsLost, udpPrograms } from "./programs.ts";

export interface LossSource {
  /** The programs' counter of an enum loss. */
  counted(cause: number): bigint;
  all(): LossCount[];
}

/** `lostByRings`: records that found no room, as the rings tell. */
export function lossSource(
  shim: Shim,
  object: KernelObject,
  mode: AttachMode,
  lostByRings: () => number,
): LossSource {
  const value = new BigUint64Array(1);
  const fd = object.mapFd("losses");
  const counted = (cause: number): bigint => {
    shim.mapLookup(fd, Uint32Array.of(cause), value);
    return value[0]!;
  };
  const misses = (programs: readonly TraceProgram[]): number[] =>
    programs
      .filter((program) => object.loaded(program))
      .map((program) => shim.progMisses(object.progFd(program)));
  const ofRings = (): bigint => {
    const told = counted(Loss.LOSS_EVENT_RING_FULL);
    return ringLoss(lostByRings(), told, counted(Loss.LOSS_EVENT_SPILLED));
  };
  return {
    counted,
    all: () =>
      countLosses(
        (cause) => (cause === Loss.LOSS_EVENT_RING_FULL ? ofRings() : counted(cause)),
        [
          {
            cause: mode === "kprobe" ? ACCEPT_MISSED : STATE_MISSED,
            count: notRescued(
              missedByAny(misses(missedIsLost[mode])),
              counted(Loss.LOSS_STATE_RESCUED),
            ),
          },
          {
            cause: DATAGRAMS_MISSED,
            count: notRescued(missedByAny(misses(udpPrograms)), counted(Loss.LOSS_LENGTH_RESCUED)),
          },
          { cause: PROCESS_MISSED, count: missedByAny(misses(birthPrograms)) },
        ],
      ),
  };
}
