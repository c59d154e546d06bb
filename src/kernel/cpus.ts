/** How many CPUs this host can ever have. */
import { readFileSync } from "node:fs";

/** The kernel's own default for x86-64 distributions is 8,192; few hosts have more than this. */
const MANY = 1024;

/** One more than the highest number that a CPU can have; where the kernel does not tell, many. */
export function possibleCpus(): number {
  try {
    return parsePossible(readFileSync("/sys/devices/system/cpu/possible", "utf8")) ?? MANY;
  } catch {
    return MANY;
  }
}

/** `0-3`, `0`, `0,2-5`; null: something else. Pure. */
export function parsePossible(text: string): number | null {
  const last = /(?:^|[,-])(\d+)\s*$/.exec(text)?.[1];
  return last === undefined ? null : Number(last) + 1;
}
