/**
 * Local time as libc has it. The runtime's Date knows a zone only by its name in the zone database; libc also knows
 * TZ as a rule of POSIX ("CET-1CEST"), as a path (":/etc/localtime"), and /etc/localtime as a plain file.
 */
import { FFIType, dlopen } from "bun:ffi";

/** Seconds by which local time is ahead of UTC at a time in seconds since 1970; 0 where libc has no answer. */
export function localOffset(second: number): number {
  time[0] = BigInt(second);
  // NULL: the year does not fit into struct tm.
  if ((libc ??= load()).localtime_r(time, tm) === null) return 0;
  return Number(gmtoff[TM_GMTOFF / 8]!);
}

// --- internal ---

/** Only times of people need it: most runs never load it. */
let libc: ReturnType<typeof load> | null = null;

function load() {
  const { symbols } = dlopen("libc.so.6", {
    tzset: { args: [], returns: FFIType.void },
    localtime_r: { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.ptr },
  });
  symbols.tzset();
  return symbols;
}

/** time_t. */
const time = new BigInt64Array(1);
/** struct tm: nine int, long tm_gmtoff, a pointer. */
const tm = new Uint8Array(56);
const gmtoff = new BigInt64Array(tm.buffer);
const TM_GMTOFF = 40;
