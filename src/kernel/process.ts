/** Facts of one process, from /proc. Each function throws where the process is gone, unless it says otherwise. */
import { closeSync, openSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { cgroupIdAt } from "./cgroups.ts";
import { latin1Of } from "./text_file.ts";
import { parseProcessGroups, parseStat, parseRealId, type ProcessGroups } from "./proc_text.ts";
import { monotonicOfBoottime } from "./clock.ts";

/** USER_HZ, the same on every architecture here: /proc counts in hundredths of a second. */
const NS_PER_TICK = 10_000_000n;

export interface Life {
  /** When it began, on the monotonic clock, to 10 ms. */
  startedNs: bigint;
  /** See ProcessStat for these two. */
  exiting: boolean;
  ofKernel: boolean;
  parent: number;
}

export function lifeOf(pid: number): Life {
  const stat = parseStat(latin1Of(`/proc/${pid}/stat`));
  if (stat === null) throw new RangeError(`/proc/${pid}/stat has no start time`);
  const { startTicks, parent, exiting, ofKernel } = stat;
  return { startedNs: monotonicOfBoottime(startTicks * NS_PER_TICK), parent, exiting, ofKernel };
}

/** Real user or group id, in the user namespace of the tool. */
export function realIdOf(pid: number, which: "Uid" | "Gid"): number {
  const id = parseRealId(latin1Of(`/proc/${pid}/status`), which);
  if (id === null) throw new RangeError(`/proc/${pid}/status has no ${which}`);
  return id;
}

/** Where it is in each hierarchy, as seen from the tool's own cgroup namespace; latin1. */
export const groupsOf = (pid: number): ProcessGroups =>
  parseProcessGroups(latin1Of(`/proc/${pid}/cgroup`));

/** The id that the kernel gives its control group of version 2; `null`: not known. */
export function cgroupIdOf(pid: number): bigint | null {
  const { v2 } = groupsOf(pid);
  return v2 === null ? null : cgroupIdAt(Buffer.from(v2, "latin1"));
}

/** Its command name, without the line break. */
export function commOf(pid: number): Uint8Array {
  const comm = readFileSync(`/proc/${pid}/comm`);
  return comm.subarray(0, comm.length - 1);
}

/** The path of the file that it runs, in its own file system; `null`: it may not be read, or there is none. */
export function executableOf(pid: number): Uint8Array | null {
  try {
    return readlinkSync(`/proc/${pid}/exe`, { encoding: "buffer" });
  } catch {
    return null;
  }
}

/** As much of a command line as is read: some are megabytes long. */
const COMMAND_LINE_MAX = 4096;

/** Its arguments as they are now, each ended by NUL; empty for a thread of the kernel. */
export function commandLineOf(pid: number): Uint8Array {
  const file = openSync(`/proc/${pid}/cmdline`, "r");
  try {
    const bytes = new Uint8Array(COMMAND_LINE_MAX);
    return bytes.subarray(0, readSync(file, bytes, 0, COMMAND_LINE_MAX, null));
  } finally {
    closeSync(file);
  }
}
