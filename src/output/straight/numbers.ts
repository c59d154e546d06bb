/** The numbers of numbers.ts, digit by digit the same, put as bytes. `us` and `bytes` are below 2^53. */
import { putInteger, putSixDigits } from "../lines.ts";
import { briefDuration } from "../numbers.ts";

/** As briefBytes. */
export function putBriefBytes(out: DataView, at: number, bytes: number): number {
  if (bytes < 10_000) return putInteger(out, at, bytes);
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 999.5) {
    value /= 1024;
    unit++;
  }
  const to =
    value < 9.95
      ? putDecimal(out, at, value * 10, 1, () => value.toFixed(1))
      : putInteger(out, at, Math.floor(value + 0.5));
  out.setUint8(to, UNITS[unit]!);
  return to + 1;
}

/** As briefDuration. */
export function putBriefDuration(out: DataView, at: number, us: number): number {
  if (us < 1000) return putUnit(out, putInteger(out, at, us), MICROSECONDS);
  if (us < 999_500) return putUnit(out, putThree(out, at, us / 1e3), MILLISECONDS);
  if (us < 1_000_000 || us >= 99_950_000) return putText(out, at, briefDuration(BigInt(us)));
  const to = putThree(out, at, us / 1e6);
  out.setUint8(to, SECOND);
  return to + 1;
}

/** As durationText. */
export function putDuration(out: DataView, at: number, us: number): number {
  const isShort = us < 1_000_000;
  const value = isShort ? us : Math.floor(us / 1000);
  const whole = Math.floor(value / 1000);
  const to = putThreeDigits(out, putPoint(out, putInteger(out, at, whole)), value - whole * 1000);
  if (isShort) return putUnit(out, to, MILLISECONDS);
  out.setUint8(to, SECOND);
  return to + 1;
}

/** As secondsText, from 0. */
export function putSeconds(out: DataView, at: number, us: number): number {
  const whole = Math.floor(us / 1_000_000);
  return putSixDigits(out, putPoint(out, putInteger(out, at, whole)), us - whole * 1_000_000);
}

/** Below a thousand, with leading zeros. */
export function putThreeDigits(out: DataView, at: number, value: number): number {
  const tens = Math.floor(value / 10);
  const hundreds = Math.floor(value / 100);
  out.setUint8(at, ZERO + hundreds);
  out.setUint8(at + 1, ZERO + tens - hundreds * 10);
  out.setUint8(at + 2, ZERO + value - tens * 10);
  return at + 3;
}

/** ASCII. */
function putText(out: DataView, at: number, text: string): number {
  for (let n = 0; n < text.length; n++) out.setUint8(at + n, text.charCodeAt(n));
  return at + text.length;
}

// --- internal ---

const [ZERO, POINT, SECOND] = [48, 46, 115];
const UNITS = Buffer.from("KMGTPE");
/** Two characters as a little-endian word. */
const [MICROSECONDS, MILLISECONDS] = [0x7375, 0x736d];

function putUnit(out: DataView, at: number, unit: number): number {
  out.setUint16(at, unit, true);
  return at + 2;
}

function putPoint(out: DataView, at: number): number {
  out.setUint8(at, POINT);
  return at + 1;
}

/** As toPrecision(3), from 1 to 999.5. */
function putThree(out: DataView, at: number, value: number): number {
  if (Math.abs(value - 9.995) < 1e-7 || Math.abs(value - 99.95) < 1e-7)
    return putText(out, at, value.toPrecision(3));
  if (value < 9.995) return putDecimal(out, at, value * 100, 2, () => value.toPrecision(3));
  if (value < 99.95) return putDecimal(out, at, value * 10, 1, () => value.toPrecision(3));
  return putDecimal(out, at, value, 0, () => value.toPrecision(3));
}

/**
 * `scaled` rounded, its last `decimals` digits behind a point. Where it is about half-way, only the runtime's own text tells
 * which way it goes.
 */
function putDecimal(
  out: DataView,
  at: number,
  scaled: number,
  decimals: 0 | 1 | 2,
  exact: () => string,
): number {
  const whole = Math.floor(scaled);
  const rest = scaled - whole - 0.5;
  if (rest > -1e-6 && rest < 1e-6) return putText(out, at, exact());
  const rounded = rest > 0 ? whole + 1 : whole;
  if (decimals === 0) return putInteger(out, at, rounded);
  const unit = decimals === 1 ? 10 : 100;
  const high = Math.floor(rounded / unit);
  const to = putPoint(out, putInteger(out, at, high));
  const low = rounded - high * unit;
  if (decimals === 1) {
    out.setUint8(to, ZERO + low);
    return to + 1;
  }
  const tens = Math.floor(low / 10);
  out.setUint8(to, ZERO + tens);
  out.setUint8(to + 1, ZERO + low - tens * 10);
  return to + 2;
}
