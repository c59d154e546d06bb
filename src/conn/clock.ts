/** The kernel stamps events with CLOCK_MONOTONIC; people read wall time. Pure: the two clocks are read elsewhere. */

/** Both clocks, read at the same moment. */
export interface ClockPair {
  monoNs: bigint;
  /** Nanoseconds since 1970, UTC (CLOCK_REALTIME). */
  wallNs: bigint;
  /** How far apart the two may have been read: much, where the reader was kept from running in between. Absent: 0. */
  withinNs?: bigint;
}

const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;

/**
 * A step of the wall clock larger than this is followed. Smaller ones are mostly the jitter of reading two clocks,
 * and following them could put two events of different polls in the wrong order.
 */
const STEP_NS = NS_PER_MS;

export function wallTime(atNs: bigint, pair: ClockPair): bigint {
  return pair.wallNs + (atNs - pair.monoNs);
}

/** The pair to go on with: the held one, unless somebody set the clock since it was read. */
export function followStep(held: ClockPair, fresh: ClockPair): ClockPair {
  const step = fresh.wallNs - wallTime(fresh.monoNs, held);
  const doubt = STEP_NS + (fresh.withinNs ?? 0n) + (held.withinNs ?? 0n);
  return step > doubt || step < -doubt ? fresh : held;
}

/** `2026-11-22T18:40:01.123456Z` */
export function isoMicros(wallNs: bigint): string {
  const second = wallNs / NS_PER_SECOND;
  const us = Math.floor(Number(wallNs - second * NS_PER_SECOND) / 1_000);
  const ms = Math.floor(us / 1_000);
  return `${isoSecond(Number(second))}.${threeDigits[ms]}${threeDigits[us - ms * 1_000]}Z`;
}

const threeDigits = Array.from({ length: 1_000 }, (_, n) => pad(n, 3));
let heldSecond = { second: NaN, text: "" };

/** Thousands of events share one: the last is remembered. */
function isoSecond(second: number): string {
  if (heldSecond.second !== second)
    heldSecond = { second, text: new Date(second * 1_000).toISOString().slice(0, 19) };
  return heldSecond.text;
}

/** Seconds by which local time is ahead of UTC at a time in seconds since 1970. */
export type OffsetAt = (second: number) => number;

export const utc: OffsetAt = () => 0;

/** `18:40:01.123`, in the local time zone, as a person at the terminal reads it. */
export function timeOfDay(wallNs: bigint, offsetAt: OffsetAt): string {
  const ms = Number(wallNs / NS_PER_MS);
  // Any u64 of nanoseconds is well inside what Date can hold, so this cannot be an invalid date.
  return new Date(ms + 1_000 * offsetAt(Math.floor(ms / 1_000))).toISOString().slice(11, 23);
}

function pad(value: number, digits: number): string {
  return value.toString().padStart(digits, "0");
}
