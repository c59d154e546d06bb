/** Times of day and date that users give. */
import { UsageError } from "../errors.ts";
import { localOffset } from "../kernel/local_time.ts";

const DATE_AND_TIME =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** `2026-11-29`, `2026-11-29 03:00`, `2026-11-29T03:00:00.5Z` → nanoseconds since 1970. Without a zone it is local time. */
export function parseMoment(text: string, flag: string, command: string): bigint {
  const [, date, time = "00:00", seconds = ":00", zone] = DATE_AND_TIME.exec(text) ?? [];
  const ms = date === undefined ? NaN : Date.parse(`${date}T${time}${seconds}${zone ?? "Z"}`);
  if (Number.isNaN(ms))
    throw new UsageError(`flag --${flag}: "${text}" is no time`, {
      command,
      why: "it is a date and a time, as --json prints it, or in local time without the zone",
      suggestion: `--${flag} '2026-11-29 03:00'`,
    });
  const wallMs = zone === undefined ? ms - 1_000 * offsetOf(ms / 1_000) : ms;
  return BigInt(Math.round(wallMs)) * 1_000_000n;
}

// --- internal ---

/** Of a local time, which the zone's table is not asked by: the offset a moment before the clock changes differs. */
function offsetOf(localSecond: number): number {
  const second = Math.floor(localSecond);
  return localOffset(second - localOffset(second));
}
