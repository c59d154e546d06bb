/** How this process takes signals. Loads nothing native. */
import { readFileSync } from "node:fs";
import { parseIgnored } from "./proc_text.ts";

/** Whether a signal of this number does nothing, as nohup(1) has it for SIGHUP; false where /proc cannot be read. */
export function ignoresSignal(signal: number): boolean {
  try {
    const ignored = parseIgnored(readFileSync("/proc/self/status", "latin1"));
    return ((ignored >> BigInt(signal - 1)) & 1n) === 1n;
  } catch {
    return false;
  }
}
