/** How long the event loop of this process stands still. */
import { existsSync, readFileSync } from "node:fs";

export interface GapWatch extends Disposable {
  /** The longest time between two turns of the event loop, in milliseconds. A busy machine makes it longer. */
  longestMs(): number;
  /**
   * CPU time of this thread between two turns, in milliseconds, the most first; 0 where the kernel does not count it. The
   * first two may be the runtime's: it compiles, and collects garbage.
   */
  cpuMs(): readonly number[];
}

const EVERY_MS = 2;
const SCHEDSTAT = "/proc/thread-self/schedstat";

export function watchGaps(): GapWatch {
  let longest = 0;
  const cpuTimes: number[] = [];
  let [before, cpuBefore] = [performance.now(), cpuOfThreadMs()];
  const timer = setInterval(() => {
    const [now, cpu] = [performance.now(), cpuOfThreadMs()];
    longest = Math.max(longest, now - before);
    cpuTimes.push(cpu - cpuBefore);
    [before, cpuBefore] = [now, cpu];
  }, EVERY_MS);
  return {
    longestMs: () => longest,
    cpuMs: () => cpuTimes.toSorted((a, b) => b - a),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

// --- internal ---

function cpuOfThreadMs(): number {
  if (!existsSync(SCHEDSTAT)) return 0;
  return Number(readFileSync(SCHEDSTAT, "latin1").split(" ")[0]) / 1e6;
}
