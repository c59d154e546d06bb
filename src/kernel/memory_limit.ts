/** How much memory the control groups of this process leave to it and to the kernel on its behalf. */
import { join } from "node:path";
import { mounts, type Mount } from "./mounts.ts";
import { textOf } from "./text_file.ts";

/** In bytes, the lowest from its own group up to the topmost that is seen from here; null: no limit. */
export const memoryLimit = (): number | null =>
  memoryLimitOf(textOf("/proc/self/cgroup") ?? "", mounts());

/** `groups`: the text of /proc/PID/cgroup. Reads only files below the mounts. */
export function memoryLimitOf(groups: string, all: readonly Mount[]): number | null {
  const limits = groups.split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const way = ways.find(({ has }) => controllers !== undefined && has(controllers.split(",")));
    if (way === undefined || path === undefined) return [];
    return all.filter(({ type }) => type === way.type).flatMap((mount) => walked(mount, path, way));
  });
  return limits.length === 0 ? null : Math.min(...limits);
}

// --- internal ---

interface Way {
  has(controllers: readonly string[]): boolean;
  /** Of the file system. */
  type: string;
  file: string;
}

const ways: readonly Way[] = [
  { has: ([only]) => only === "", type: "cgroup2", file: "memory.max" },
  // Of the mounts of version 1 only the one of this controller has such a file.
  { has: (names) => names.includes("memory"), type: "cgroup", file: "memory.limit_in_bytes" },
];

/** Version 1 writes no limit as the largest number of whole pages. */
const NO_LIMIT = 2 ** 60;

/** The limits of the group at `path` and of those above it, as far as the mount shows them. */
function walked(mount: Mount, path: string, { file }: Way): number[] {
  const top = mount.at.toString("latin1");
  const from = path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
  const names = from.split("/").filter((name) => name !== "");
  // A path that leads out of the mount is that of a process in another cgroup namespace.
  if (names.includes("..")) return [];
  const limits: number[] = [];
  for (let depth = names.length; depth >= 0; depth--) {
    const text = textOf(join(top, ...names.slice(0, depth), file))?.trim();
    const limit = text === undefined || !/^\d+$/.test(text) ? Infinity : Number(text);
    if (limit < NO_LIMIT) limits.push(limit);
  }
  return limits;
}
