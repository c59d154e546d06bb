/** The time of the line at hand. Thousands of lines share a second: its text is kept. Pure, but for that. */
import { isoMicros, timeOfDay, wallTime, type ClockPair, type OffsetAt } from "../../conn/clock.ts";
import { segment } from "../lines.ts";

const NS_PER_SECOND = 1_000_000_000;
const NS = BigInt(NS_PER_SECOND);

/** `low` and `high`: the time of the event, in halves; `us`: within its second of the wall clock. */
export const moment = {
  low: 0,
  high: 0,
  us: 0,
  /** Up to the point of the seconds, as JSON and the table write a time. */
  iso: segment(""),
  day: segment(""),
  /** Grows with each second that is entered. */
  seconds: 0,
};

const held = {
  clocks: null as ClockPair | null,
  offsetAt: null as OffsetAt | null,
  low: 0,
  high: 0,
};

/** Whether the second that was entered last is one of these clocks. */
export const isOf = (clocks: ClockPair, offsetAt: OffsetAt): boolean =>
  held.clocks === clocks && held.offsetAt === offsetAt;

/** The time at which it begins, in halves; the high one is below 0 in the first second after boot. */
export const beginning = (): { readonly low: number; readonly high: number } => held;

/** The two halves are subtracted apart: as a number a time grows inexact. */
export function enter(low: number, high: number, clocks: ClockPair, offsetAt: OffsetAt): void {
  let ns = (high - held.high) * 2 ** 32 + (low - held.low);
  const isOther = held.clocks !== clocks || held.offsetAt !== offsetAt;
  if (isOther || ns < 0 || ns >= NS_PER_SECOND) {
    const atNs = (BigInt(high) << 32n) + BigInt(low);
    const wallNs = wallTime(atNs, clocks);
    const inSecond = ((wallNs % NS) + NS) % NS;
    const begins = atNs - inSecond;
    ns = Number(inSecond);
    held.clocks = clocks;
    held.offsetAt = offsetAt;
    held.low = Number(begins & 0xffff_ffffn);
    held.high = Number(begins >> 32n);
    moment.iso = segment(isoMicros(wallNs - inSecond).slice(0, -"000000Z".length));
    moment.day = segment(timeOfDay(wallNs - inSecond, offsetAt).slice(0, -"000".length));
    moment.seconds++;
  }
  moment.low = low;
  moment.high = high;
  moment.us = Math.floor(ns / 1000);
}
