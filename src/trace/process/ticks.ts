/** Ticks in which the kernel side notes owners, and processes that had a number then: a pid is used again. Pure. */
import { Tick } from "../../record/layout.gen.ts";

export const TICK_BITS = BigInt(Tick.TICK_BITS);
const TICK_NS = 1n << TICK_BITS;

/** The last nanosecond of a mono_ticks, of which `nowNs` tells the high bits. */
export function endOf(ticks: number, nowNs: bigint): bigint {
  const age = BigInt.asUintN(32, (nowNs >> TICK_BITS) - BigInt(ticks));
  return (((nowNs >> TICK_BITS) - age + 1n) << TICK_BITS) - 1n;
}

/** A process, and up to when it was there under its number; nanoseconds of CLOCK_MONOTONIC. */
export interface SeenProcess {
  startedNs: bigint;
  seenNs: bigint;
}

/** Whether the process was there in the tick that ends at `end`: one that began later, or ended before, only had the same number. */
export const wasThere = ({ startedNs, seenNs }: SeenProcess, end: bigint): boolean =>
  startedNs <= end && end - TICK_NS < seenNs;
