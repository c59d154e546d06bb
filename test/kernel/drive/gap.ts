/** How long the event loop of this process stands still. */
import { existsSync, readFileSync } from "node:fs";

export interface GapWatch extends Disposable {
  /** The longest time between two turns of the event loop, in milliseconds. A busy machine makes it longer. */
  longestMs(): number;
  /**
   * The nth most CPU time of this thread between two turns, in milliseconds, from 1 on; 0 where the kernel does not count it. The
   * first two may be the runtime's: it compiles, and collects garbage.
   */
  nthCpuMs(nth: number): number;
}

const EVERY_MS = 2;
const SCHEDSTAT = "/proc/thread-self/schedstat";

export function watchGaps(): GapWatch {
  let longest = 0;
  const cpuTimes: number[] = [];
  let [before, cpuBefore] = [performance.now(), cpuMs()];
  const timer = setInterval(() => {
    const [now, cpu] = [performance.now(), cpuMs()];
    longest = Math.max(longest, now - before);
    cpuTimes.push(cpu - cpuBefore);
    [before, cpuBefore] = [now, cpu];
  }, EVERY_MS);
  return {
    longestMs: () => longest,
    nthCpuMs: (nth) => cpuTimes.toSorted((a, b) => b - a)[nth - 1] ?? 0,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

// --- internal ---

function cpuMs(): number {
  if (!existsSync(SCHEDSTAT)) return 0;
  return Number(readFileSync(SCHEDSTAT, "latin1").split(" ")[0]) / 1e6;
}
