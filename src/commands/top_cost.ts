/** The cost of this process from one interval to the next. */
import { ownCost } from "../kernel/own_cost.ts";

export interface CostMeter {
  /** Since the last call. */
  read(): { cpuShare: number | null; memoryBytes: number };
}

export function costMeter(): CostMeter {
  let before = ownCost();
  return {
    read() {
      const now = ownCost();
      const wallUs = now.wallUs - before.wallUs;
      const cpuShare = wallUs > 0 ? (now.cpuUs - before.cpuUs) / wallUs : null;
      before = now;
      return { cpuShare, memoryBytes: process.memoryUsage.rss() };
    },
  };
}
