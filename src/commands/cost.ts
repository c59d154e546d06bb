/** The cost of a trace, for its summary. Pure. */

import type { OwnCost } from "../kernel/own_cost.ts";
import type { KernelTime } from "../trace/health/kernel_time.ts";

/**
 * "own cost: 0.12 s of CPU (1.4 % of one processor), 58 MB of memory at its peak; in the kernel 410 ns per program run,
 * 0.41 % of one processor". A part that is not known is left out.
 */
export function costText(own: OwnCost, kernel: KernelTime | null): string {
  const cpu = `${(own.cpuUs / 1e6).toFixed(2)} s of CPU (${shareText(own.cpuUs / own.wallUs)})`;
  const memory =
    own.peakBytes === null ? [] : [`${Math.round(own.peakBytes / 1e6)} MB of memory at its peak`];
  const inKernel = kernel === null ? "" : `; in the kernel ${kernelText(kernel)}`;
  return `own cost: ${[cpu, ...memory].join(", ")}${inKernel}`;
}

// --- internal ---

/** Not per event: most runs of a busy host show nothing, and would be divided among the few events that are shown. */
const kernelText = ({ ns, runs, ofNs }: KernelTime): string =>
  `${whole(Number(ns) / Number(runs))} ns per program run, ${shareText(Number(ns) / Number(ofNs))}`;

const shareText = (share: number): string => `${brief(100 * share)} % of one processor`;

/** Two digits, or all before the point. */
const brief = (value: number): string =>
  value < 10 ? Number(value.toPrecision(2)).toString() : value.toFixed(0);

const whole = (value: number): string => Math.round(value).toLocaleString("en");
