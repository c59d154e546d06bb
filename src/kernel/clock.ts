/** Reads CLOCK_MONOTONIC and CLOCK_REALTIME at the same moment. */
import { FFIType, dlopen } from "bun:ffi";
import type { ClockPair } from "../conn/clock.ts";
import { Tick } from "../record/layout.gen.ts";
import { monotonicOffset } from "./time_namespace.ts";

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
/** The calling thread's: without the time that it waited for its turn. */
const CLOCK_THREAD_CPUTIME_ID = 3;
/** The monotonic clock and the time the host slept: what /proc counts in. */
const CLOCK_BOOTTIME = 7;

const { symbols: libc } = dlopen("libc.so.6", {
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
});

const timespec = new BigInt64Array(2);

/** Good enough to tell a step of the clock by; usually it takes a microsecond. */
const NARROW_NS = 50_000n;
const TRIES = 10;

/** The wall clock, and the monotonic one. */
export function readClocks(): ClockPair {
  const { monoNs, otherNs, withinNs } = besideMonotonic(CLOCK_REALTIME);
  return { monoNs, wallNs: otherNs, withinNs };
}

/** The clock of bpf_ktime_get_ns, also in a time namespace. */
export const monotonicNs = (): bigint => read(CLOCK_MONOTONIC) - (aheadNs ??= monotonicOffset());

/** For how long the calling thread has had a processor. */
export const threadCpuNs = (): bigint => read(CLOCK_THREAD_CPUTIME_ID);

/** Read once: a process does not leave its time namespace. */
let aheadNs: bigint | null = null;

const TICK_BITS = BigInt(Tick.TICK_BITS);

/** The same as the programs keep it in 32 bits: mono_ticks of bpf/record.h. */
export const monotonicTicks = (): number => Number((monotonicNs() >> TICK_BITS) & 0xffff_ffffn);

/**
 * A time since boot, as /proc/PID/stat has it, on the clock of the kernel. In a time namespace CLOCK_BOOTTIME and /proc are
 * ahead of the kernel's by the same time.
 */
export function monotonicOfBoottime(ns: bigint): bigint {
  const { monoNs, otherNs } = besideMonotonic(CLOCK_BOOTTIME);
  return ns - (otherNs - monoNs);
}

// --- internal ---

/** Another clock and the monotonic one at the same moment. */
interface Beside {
  monoNs: bigint;
  otherNs: bigint;
  /** See ClockPair. */
  withinNs: bigint;
}

/**
 * The other clock between two readings of the monotonic one, taken as the middle of them. On a busy host a reader loses
 * the processor in between: the narrowest of several tries is taken.
 */
function besideMonotonic(clock: number): Beside {
  let best = besideOnce(clock);
  for (let n = 1; n < TRIES && best.withinNs > NARROW_NS; n++) {
    const next = besideOnce(clock);
    if (next.withinNs < best.withinNs) best = next;
  }
  return best;
}

function besideOnce(clock: number): Beside {
  const before = monotonicNs();
  const otherNs = read(clock);
  const withinNs = monotonicNs() - before;
  return { monoNs: before + withinNs / 2n, otherNs, withinNs };
}

function read(clock: number): bigint {
  libc.clock_gettime(clock, timespec);
  return timespec[0]! * 1_000_000_000n + timespec[1]!;
}
