/** The part of the telemetry that losses give. Pure. */
import { lossTexts, type LossCount } from "./health/losses.ts";
import { DATAGRAMS_MISSED } from "./udp/part.ts";

export function telemetryLosses(losses: readonly LossCount[]) {
  const lost = (text: string) => losses.find(({ cause }) => cause === text)?.count ?? 0n;
  return {
    unfollowedConnects: lost(lossTexts.LOSS_ATTEMPT_MAP_FULL),
    unreadableTuples: lost(lossTexts.LOSS_TUPLE_UNREADABLE),
    datagramsMissed: lost(lossTexts.LOSS_FLOW_MAP_FULL) + lost(DATAGRAMS_MISSED),
  };
}
