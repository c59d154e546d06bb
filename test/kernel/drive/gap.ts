/** How long the event loop of this process stands still. */
import { existsSync, readFileSync } from "node:fs";

export interface GapWatch extends Disposable {
  /** The longest time between two turns of the event loop, in milliseconds. A busy machine makes it longer. */
  longestMs(): number;
  /** The most CPU time of this thread between two turns, in milliseconds; 0 where the kernel does not count it. */
  longestCpuMs(): number;
}

const EVERY_MS = 2;
const SCHEDSTAT = "/proc/thread-self/schedstat";

export function watchGaps(): GapWatch {
  let [longest, longestCpu] = [0, 0];
  let [before, cpuBefore] = [performance.now(), cpuMs()];
  const timer = setInterval(() => {
    const [now, cpu] = [performance.now(), cpuMs()];
    longest = Math.max(longest, now - before);
    longestCpu = Math.max(longestCpu, cpu - cpuBefore);
    [before, cpuBefore] = [now, cpu];
  }, EVERY_MS);
  return {
    longestMs: () => longest,
    longestCpuMs: () => longestCpu,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

// --- internal ---

function cpuMs(): number {
  if (!existsSync(SCHEDSTAT)) return 0;
  return Number(readFileSync(SCHEDSTAT, "latin1").split(" ")[0]) / 1e6;
}
