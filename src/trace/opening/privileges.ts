/** Keeps those of root's capabilities that a running trace needs, and drops the rest. */
import { readFileSync } from "node:fs";
import {
  CAP_BPF,
  CAP_DAC_READ_SEARCH,
  CAP_IPC_LOCK,
  CAP_PERFMON,
  CAP_SYS_ADMIN,
  CAP_SYS_NICE,
  CAP_SYS_PTRACE,
} from "../../kernel/constants.ts";
import type { AttachMode, Host } from "../../kernel/host.ts";
import { errnoName } from "../../kernel/libc.ts";
import { capability, type Capabilities } from "../../kernel/capability.ts";
import { dropAllBut, goesWith } from "../../kernel/privileges.ts";
import { KernelError } from "../../kernel/shim.ts";

/**
 * Gives up, in all threads and for good, what the trace does not need any more. All that is to be opened, entered or
 * started with the user's own rights must be so by then. `more`: those that only some traces need. `trial` does what the trace is going to do all the time.
 * Returns where it did not come to that, for the user.
 */
export function dropCapabilities(
  host: Host,
  mode: AttachMode,
  more: Capabilities,
  trial: () => void,
): string[] {
  const few = neededBy(mode) | more;
  try {
    // Before 5.8 there was nothing less.
    const keep = goesWith(host.shim, few, trial) ? few : few | capability(CAP_SYS_ADMIN);
    return dropAllBut(host.shim, keep).map(
      (thread) => `capabilities were not dropped in the thread ${thread}`,
    );
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return [`capabilities were not dropped: capset(2) is refused (${errnoName(error.errno)})`];
  }
}

// --- internal ---

function neededBy(mode: AttachMode): bigint {
  return capability(
    // The maps, also where unprivileged bpf(2) is off, and programs that are run on request.
    CAP_BPF,
    // Rings for CPUs that come online: their perf events, and their memory. Where perf_event_paranoid (Debian, Ubuntu)
    // wants CAP_SYS_ADMIN they do without, as rings.c says: that would be to keep nearly everything.
    CAP_PERFMON,
    CAP_IPC_LOCK,
    // Keeping the CPU during a map command (shim/hold.c).
    CAP_SYS_NICE,
    // The path of a control group by its id (open_by_handle_at), of groups that begin while the trace runs.
    CAP_DAC_READ_SEARCH,
    // The owner of a socket is found in /proc/PID/fd; in kprobe mode the probes tell.
    ...(mode === "tracepoint" ? [CAP_SYS_PTRACE] : []),
    ...(processesAreHidden() ? [CAP_SYS_PTRACE] : []),
  );
}

/** /proc mounted with hidepid: of other users' processes it shows nothing to those who might not trace them. */
function processesAreHidden(): boolean {
  return /^\S+ \/proc proc \S*\bhidepid=(?!0|off)/m.test(
    readFileSync("/proc/self/mounts", "latin1"),
  );
}
