/** Numbers as people read them. Pure. */

/** Under a second in ms, else in s, always with three decimals: `0.045ms`, `12.345s`. */
export function durationText(us: bigint): string {
  const [value, unit] = us < 1_000_000n ? [us, "ms"] : [us / 1000n, "s"];
  return `${value / 1000n}.${(value % 1000n).toString().padStart(3, "0")}${unit}`;
}

/**
 * Whole microseconds of nanoseconds up to 2^53. Up to there a double is so fine (half of 2^-9) that no quotient is rounded
 * up to the next whole number, from which it is a thousandth away at least.
 */
export const microseconds = (ns: number): number => Math.floor(ns / 1000);

/** Microseconds as seconds: `12.345678`. */
export function secondsText(us: bigint): string {
  const size = us < 0n ? -us : us;
  const fraction = (size % 1_000_000n).toString().padStart(6, "0");
  return `${us < 0n ? "-" : ""}${size / 1_000_000n}.${fraction}`;
}

/** Exact up to 9999, above it rounded to units of 1024: four columns at most, `9999`, `9.8K`, `123M`, `16E`. */
export function briefBytes(bytes: bigint): string {
  if (bytes < 10_000n) return bytes.toString();
  let value = Number(bytes) / 1024;
  let unit = 0;
  // 999.5 would be rounded to four digits.
  while (value >= 999.5) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)}${"KMGTPE"[unit]}`;
}

/** Three digits or so, seven columns at most: `45us`, `3.59ms`, `12.3s`, `27m46s`, `3h25m`, `12d3h`. */
export function briefDuration(us: bigint): string {
  if (us < 1000n) return `${us}us`;
  if (us < 999_500n) return `${(Number(us) / 1e3).toPrecision(3)}ms`;
  if (us < 99_950_000n) return `${(Number(us) / 1e6).toPrecision(3)}s`;
  const seconds = us / 1_000_000n;
  const [minutes, hours, days] = [seconds / 60n, seconds / 3600n, seconds / 86_400n];
  if (hours === 0n) return `${minutes}m${seconds % 60n}s`;
  return days === 0n ? `${hours}h${minutes % 60n}m` : `${days}d${hours % 24n}h`;
}
