/** How long the event loop of this process stands still. */
import { existsSync, readFileSync } from "node:fs";
import { PATIENCE_MS } from "./tracer.ts";

/** Nothing may stand on the event loop for longer; an emulated guest is slower by as much as its patience is longer. */
export const STALL_MS = (50 * PATIENCE_MS) / 20_000;

const EVERY_MS = 2;
const SCHEDSTAT = "/proc/thread-self/schedstat";

export interface GapWatch extends Disposable {
  /** The longest time between two turns of the event loop, without the time for which this thread waited for a CPU. */
  longestMs(): number;
}

export function watchGaps(): GapWatch {
  let longest = 0;
  let [before, waitedBefore] = [performance.now(), waitedMs()];
  const timer = setInterval(() => {
    const [now, waited] = [performance.now(), waitedMs()];
    longest = Math.max(longest, now - before - (waited - waitedBefore));
    [before, waitedBefore] = [now, waited];
  }, EVERY_MS);
  return {
    longestMs: () => longest,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

// --- internal ---

/** Time for which this thread was ready to run and had no CPU; 0 where the kernel does not count it. */
function waitedMs(): number {
  if (!existsSync(SCHEDSTAT)) return 0;
  return Number(readFileSync(SCHEDSTAT, "latin1").split(" ")[1]) / 1e6;
}
