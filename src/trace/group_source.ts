/** Where control groups are asked for: their file system, and /proc. */
import { cgroupHierarchies, cgroupPathOf } from "../kernel/cgroups.ts";
import { monotonicNs } from "../kernel/clock.ts";
import { groupsOf, lifeOf } from "../kernel/process.ts";
import { readText } from "../record/comm.ts";
import type { GroupSource } from "./groups.ts";

/** `tgid` is the tool's own pid in the kernel's numbers; `between` is called each time before something is read. */
export function groupSource(tgid: number, between: () => void): GroupSource {
  return {
    mixed: cgroupHierarchies().v1,
    pathOf(id) {
      between();
      const path = cgroupPathOf(id);
      return path && readText(path);
    },
    process(pid) {
      // In a pid namespace /proc numbers processes otherwise than the events do.
      if (tgid !== process.pid) return null;
      between();
      try {
        // Its life comes last: whoever has got the number meanwhile began too late, and an end is seen.
        const { v2, v1 } = groupsOf(pid);
        return { v2: textOf(v2), v1: textOf(v1), ...lifeOf(pid) };
      } catch {
        return null;
      }
    },
    nowNs: monotonicNs,
  };
}

const textOf = (path: string | null): string | null =>
  path === null ? null : readText(Buffer.from(path, "latin1"));
