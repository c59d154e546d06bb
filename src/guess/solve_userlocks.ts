/** sk_userlocks: what a program has fixed of a socket. Four bits, which a later kernel gave a byte of their own. Pure. */
import { judge, nearest, SOCK_ENDS, without, type Placed } from "./search.ts";
import type { FieldReport } from "./report.ts";
import type { SockSample } from "./snapshot.ts";

/** The high half of a byte of flags (6.1 and before); a byte by itself (6.12 and later), with a fifth bit for the kernel. */
const SHIFTS = [4, 0] as const;
const LOCKS = 0xf;
const FIELDS = ["sk_userlocks", "sk_userlocks_shift"] as const;

export function solveUserlocks(samples: SockSample[], placed: Placed): FieldReport[] {
  const known = samples.filter(({ truth }) => truth.sk_userlocks !== undefined);
  if (known.length === 0)
    return FIELDS.map((f) => without(f, "sock", "failed", "no connection showed its value"));
  const found = nearest(SOCK_ENDS, (end) => placesBelow(end, known, placed));
  const how = `in ${known.length} connections`;
  const values = [found.map(({ offset }) => offset), found.map(({ shift }) => shift)];
  return FIELDS.map((field, i) => judge(field, "sock", values[i]!, undefined, how));
}

// --- internal ---

interface Locks {
  offset: number;
  shift: number;
}

function placesBelow(limit: number, samples: SockSample[], placed: Placed): Locks[] {
  const end = Math.min(limit, ...samples.map(({ bytes }) => bytes.length));
  const found: Locks[] = [];
  for (let offset = 0; offset < end; offset++) {
    if (placed.overlaps(offset, 1)) continue;
    for (const shift of SHIFTS)
      if (
        samples.every(
          ({ bytes, truth }) => ((bytes[offset]! >> shift) & LOCKS) === truth.sk_userlocks,
        )
      )
        found.push({ offset, shift });
  }
  return found;
}
