/** Whether the kernel preempts a task that runs in it. */
import { close, uname } from "./libc.ts";
import type { Shim } from "./shim.ts";
import { textOf } from "./text_file.ts";

/** Of a kernel that decides it at its boot and does not say how, it is said that it does. */
export function preempts(shim: Pick<Shim, "debugfs">, build = uname().version): boolean {
  const [flag] = /\bPREEMPT\w*/.exec(build) ?? [];
  if (flag === undefined) return false;
  return flag !== "PREEMPT_DYNAMIC" || !isVoluntary(decided(shim));
}

// --- internal ---

/** The way that is taken is in brackets. */
const isVoluntary = (ways: string | null): boolean => /\((?:none|voluntary)\)/.test(ways ?? "");

const FILE = "sched/preempt";

function decided(shim: Pick<Shim, "debugfs">): string | null {
  const found = textOf(`/sys/kernel/debug/${FILE}`);
  if (found !== null) return found;
  const top = shim.debugfs();
  if (top === null) return null;
  try {
    return textOf(`/proc/self/fd/${top}/${FILE}`);
  } finally {
    close(top);
  }
}
