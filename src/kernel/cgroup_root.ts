/** The root control group of version 2: a program that is attached there sees the sockets of the whole host. */
import { fstatSync, openSync } from "node:fs";
import { cgroupHierarchies } from "./cgroups.ts";
import { close, errnoName } from "./libc.ts";
import { KernelError, type Shim } from "./shim.ts";
import { textOf } from "./text_file.ts";

/** A descriptor of it, the caller's to close, or why it cannot be had. */
export function openCgroupRoot(shim: Shim): number | string {
  const top = openTop(shim);
  if (typeof top === "string" || fstatSync(top, { bigint: true }).ino === ROOT_INO) return top;
  close(top);
  return "the tracer runs in a cgroup namespace that shows only a part of the control groups";
}

// --- internal ---

/** The id of every hierarchy's root; a cgroup namespace has another group at its top. */
const ROOT_INO = 1n;

/** The top of what this process sees. Where it is mounted, the mount is used; another one would need more rights. */
function openTop(shim: Shim): number | string {
  const { v2 } = cgroupHierarchies();
  try {
    if (v2 !== null) return openSync(v2, "r");
    // The first mount of all would change what /proc/PID/cgroup says, until the next boot.
    if (!/^0::/m.test(textOf("/proc/self/cgroup") ?? ""))
      return "control groups of version 2 are mounted nowhere (mount -t cgroup2 cgroup2 DIRECTORY)";
    return shim.cgroupRoot();
  } catch (error) {
    return `the root control group cannot be opened: ${reasonOf(error)}`;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof KernelError) return errnoName(error.errno);
  return error instanceof Error ? error.message : String(error);
}
