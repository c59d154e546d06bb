/** Losses: their causes, their texts, and how they are counted. Pure. */
import { Loss } from "../../record/layout.gen.ts";

/** By enum loss. To add one: a line in bpf/record.h and its text here. */
export const lossTexts: Record<Exclude<keyof typeof Loss, "LOSS_MAX">, string> = {
  LOSS_EVENT_RING_FULL: "event ring full",
  LOSS_CONNECTION_MAP_FULL: "connection map full",
  LOSS_MAP_BUSY: "close not told, its map was busy",
  LOSS_TUPLE_UNREADABLE: "addresses unreadable",
  LOSS_COUNTERS_UNSTABLE: "counters changed while read",
  LOSS_FLOW_MAP_FULL: "UDP flow map full",
  LOSS_FAILURE_UNKNOWN: "failure without its reason",
  LOSS_PROCESS_MAP_FULL: "process not followed, too many at once",
  LOSS_BEGIN_MISSED: "connect or accept missed, only its close was seen",
  LOSS_ATTEMPT_MAP_FULL: "connect not followed, its failure would not be seen",
};

/** The causes of lossTexts by which datagrams are lost. */
const DATAGRAMS: ReadonlySet<number> = new Set([Loss.LOSS_FLOW_MAP_FULL]);

export interface LossCount {
  cause: string;
  count: bigint;
  /** `count` is a number of datagrams; left out: of events. */
  unit?: "datagram";
}

/** One entry per cause, also those with nothing. `read` gives the kernel's counter of a cause. */
export function countLosses(read: (cause: number) => bigint, more: LossCount[]): LossCount[] {
  const counted = Object.entries(lossTexts).map(([name, cause]): LossCount => {
    const loss = Loss[name as keyof typeof lossTexts];
    return { cause, count: read(loss), ...(DATAGRAMS.has(loss) ? { unit: "datagram" } : {}) };
  });
  return [...counted, ...more];
}

/** Losses of a beginning. */
const BEGINNINGS = [lossTexts.LOSS_CONNECTION_MAP_FULL, lossTexts.LOSS_TUPLE_UNREADABLE];

/**
 * A beginning that another cause has counted is not counted again when its close comes. `missed`: the beginnings that busy
 * programs may have missed, also those that have not settled.
 */
export function countedOnce(losses: readonly LossCount[], missed: bigint): LossCount[] {
  const counted = losses.reduce(
    (sum, { cause, count }) => (BEGINNINGS.includes(cause) ? sum + count : sum),
    missed,
  );
  return losses.map((loss) =>
    loss.cause === lossTexts.LOSS_BEGIN_MISSED
      ? { ...loss, count: notRescued(loss.count, counted) }
      : loss,
  );
}

/** The share that losses have in the telemetry (src/state/telemetry.ts). */
export function telemetryLosses(losses: readonly LossCount[]) {
  const sum = (some: (loss: LossCount) => boolean) =>
    losses.reduce((sum, loss) => (some(loss) ? sum + loss.count : sum), 0n);
  return {
    unfollowedConnects: sum(({ cause }) => cause === lossTexts.LOSS_ATTEMPT_MAP_FULL),
    unreadableTuples: sum(({ cause }) => cause === lossTexts.LOSS_TUPLE_UNREADABLE),
    datagramsMissed: sum(({ unit }) => unit === "datagram"),
  };
}

/**
 * Records that found no room in a ring. `lost`: as the rings tell; `told`: as the programs do; `spilled`: those of `lost`
 * that came all the same, through a map. Before 5.1 a program is not told that the ring was full; then the rings alone know.
 */
export function ringLoss(lost: number, told: bigint, spilled: bigint): bigint {
  const untold = BigInt(lost) - told - spilled;
  return untold > 0n ? told + untold : told;
}

/** Lost events: misses of the main program, without those that backup programs did. */
export const notRescued = (missed: bigint, rescued: bigint): bigint =>
  missed > rescued ? missed - rescued : 0n;

const SETTLE_MS = 1_000;

/**
 * A backup program whose task is preempted before its turn is counted late. So a miss counts once no backup program has
 * covered it for a second, or when nothing is to come any more. Gives the count for each reading.
 */
export function settling(): (count: bigint, nowMs: number, over: boolean) => bigint {
  let settled = 0n;
  let least = { count: 0n, sinceMs: -Infinity };
  return (count, nowMs, over) => {
    if (over) return count;
    if (count < least.count) least = { ...least, count };
    if (nowMs - least.sinceMs < SETTLE_MS) return settled;
    settled = least.count;
    least = { count, sinceMs: nowMs };
    return settled;
  };
}

/** The sum of the misses of several programs: no other program covers these. */
export const missedByAny = (misses: readonly number[]): bigint =>
  BigInt(misses.reduce((sum, n) => sum + n, 0));
