/** Counters that only grow while a connection lives, and their differences. Pure. */
import type { Totals } from "../conn/event.ts";

/** `null` = not known. */
export interface Counters {
  /** Payload the local application wrote. */
  bytesSent: bigint | null;
  /** Payload the local application read. */
  bytesReceived: bigint | null;
  /** TCP segments or UDP datagrams. */
  segsOut: number | null;
  segsIn: number | null;
  /** Segments sent again. */
  retransmits: number | null;
  /** 1 once a TCP connection was established during the trace. */
  established: number;
  /** 1 once it is over. */
  closed: number;
}

/** Of a connection of which nothing was counted yet. */
export const NOTHING: Counters = {
  bytesSent: null,
  bytesReceived: null,
  segsOut: null,
  segsIn: null,
  retransmits: null,
  established: 0,
  closed: 0,
};

const keys = Object.keys(NOTHING) as (keyof Counters)[];
const measured = ["bytesSent", "bytesReceived", "segsOut", "segsIn", "retransmits"] as const;
type Measured = Pick<Totals, (typeof measured)[number]>;

/** The counts of one connection. */
export interface Counted {
  /** The largest seen of everything; the same object as long as nothing grows. */
  known: Counters;
  /** The same object, or a copy with `null` where the newest observation did not know. */
  shown: Counters;
}

export interface Facts {
  established: boolean;
  closed: boolean;
}

/**
 * Takes the larger of each: what was counted once does not go away. `seen` is `null` when nothing was counted now.
 * `underflows` says how many counters were smaller than before: an older observation that came late, or a mistake.
 */
export function merge(
  before: Counted,
  seen: Measured | null,
  facts: Facts,
): Counted & { underflows: number } {
  const next: Counters = {
    ...before.known,
    established: Math.max(before.known.established, facts.established ? 1 : 0),
    closed: Math.max(before.known.closed, facts.closed ? 1 : 0),
  };
  let underflows = 0;
  for (const key of measured) {
    const value = seen?.[key] ?? null;
    const old = next[key];
    if (value === null) continue;
    if (old !== null && value < old) underflows++;
    else set(next, key, value);
  }
  const known = keys.some((key) => next[key] !== before.known[key]) ? next : before.known;
  return { known, shown: without(known, seen ?? before.shown), underflows };
}

/** The counts that the client has been told once `shown` is told: an unknown count stays as it was told before. */
export function told({ known, shown }: Counted, before: Counters): Counters {
  if (shown === known) return known;
  const result = { ...known };
  for (const key of measured) if (shown[key] === null) set(result, key, before[key]);
  return result;
}

/** The difference to `before`, which was reported; `null` where the count is not known now. Never negative. */
export function since(shown: Counters, before: Counters): Counters {
  const delta = { ...shown };
  for (const key of keys) {
    const now = shown[key];
    if (now === null) continue;
    // The two are of one kind: both bigint or both number.
    set(delta, key, (now as number) - ((before[key] ?? zeroOf(now)) as number));
  }
  return delta;
}

/** Nothing that is known has grown. */
export function isEmpty(delta: Counters): boolean {
  return keys.every((key) => delta[key] === null || Number(delta[key]) === 0);
}

/** No payload went either way, as far as is known. */
export function movedNothing(delta: Counters): boolean {
  return delta.bytesSent === 0n && delta.bytesReceived === 0n;
}

/** The sum; what is not known of one is not known of both. */
export function add(a: Counters, b: Counters): Counters {
  const sum = { ...a };
  for (const key of keys) {
    const [x, y] = [a[key], b[key]];
    set(sum, key, x === null || y === null ? null : (x as number) + (y as number));
  }
  return sum;
}

// --- internal ---

/** `known` itself where `seen` knows as much. */
function without(known: Counters, seen: Measured): Counters {
  const unknown = measured.filter((key) => seen[key] === null && known[key] !== null);
  if (unknown.length === 0) return known;
  const shown = { ...known };
  for (const key of unknown) set(shown, key, null);
  return shown;
}

const zeroOf = (like: bigint | number): bigint | number => (typeof like === "bigint" ? 0n : 0);

function set(counters: Counters, key: keyof Counters, value: bigint | number | null): void {
  (counters as unknown as Record<string, bigint | number | null>)[key] = value;
}
