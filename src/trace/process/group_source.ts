/** Where control groups are asked for: their file system, and /proc. */
import { allCgroups, cgroupHierarchies, cgroupPathOf } from "../../kernel/cgroups.ts";
import { monotonicNs } from "../../kernel/clock.ts";
import { groupsOf, lifeOf } from "../../kernel/process.ts";
import { readText } from "../../record/comm.ts";
import { LATER, type GroupSource } from "./groups.ts";
import { rationed } from "../meanwhile.ts";

/** `tgid` is the tool's own pid in the kernel's numbers; `between` is called each time before something is read. */
export function groupSource(tgid: number, between: () => void): GroupSource {
  const search = searcher(between);
  return {
    mixed: cgroupHierarchies().v1,
    pathOf(id) {
      between();
      const path = cgroupPathOf(id);
      return path === undefined ? search(id) : path && readText(path);
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

// --- internal ---

/** A poll is enough; a search takes some ten microseconds per group. */
const SEARCH_EVERY_MS = 100;

/** For a host on which the tool may not ask for an id: all groups are looked at, and those that were there remembered. */
function searcher(between: () => void): GroupSource["pathOf"] {
  let found = new Map<bigint, string>();
  const now = rationed(SEARCH_EVERY_MS);
  const searched = () => {
    found = new Map();
    for (const { id, path } of allCgroups()) {
      between();
      found.set(id, readText(path));
    }
    return found;
  };
  return (id) => {
    const known = found.get(id);
    if (known !== undefined) return known;
    const all = now(searched);
    if (all === null) return LATER;
    // Not even the root: this host tells no ids.
    return all.size === 0 ? undefined : (all.get(id) ?? null);
  };
}

const textOf = (path: string | null): string | null =>
  path === null ? null : readText(Buffer.from(path, "latin1"));
