/** The cost of this process to its host so far, as the kernel counts it. */

import { textOf } from "./text_file.ts";

export interface OwnCost {
  /** User and system time of all threads. */
  cpuUs: number;
  /** Since the process began. */
  wallUs: number;
  /** The most that was resident at a time; null: /proc does not tell. */
  peakBytes: number | null;
}

export function ownCost(): OwnCost {
  const { user, system } = process.cpuUsage();
  // Not getrusage's maximum: that is also the one of whoever started this process.
  const peak = /^VmHWM:\s*(\d+) kB$/m.exec(textOf("/proc/self/status") ?? "")?.[1];
  return {
    cpuUs: user + system,
    wallUs: process.uptime() * 1e6,
    peakBytes: peak === undefined ? null : Number(peak) * 1024,
  };
}
