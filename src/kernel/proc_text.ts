/**
 * What files of /proc tell of processes and control groups. Names in them are in no promised encoding: the texts are read
 * as latin1, which keeps every byte apart. Pure.
 */

export interface CgroupMounts {
  /** Where the hierarchy of version 2 is mounted whole; `null`: nowhere. */
  v2: string | null;
  /** Whether there are hierarchies of version 1: processes may be placed in those alone. */
  v1: boolean;
}

/** `mountinfo` is the text of /proc/self/mountinfo. */
export function parseCgroupMounts(mountinfo: string): CgroupMounts {
  const mounts: CgroupMounts = { v2: null, v1: false };
  for (const line of mountinfo.split("\n")) {
    // id parent major:minor root mountpoint options [optional]... - type source options
    const [before = "", after = ""] = line.split(" - ", 2);
    const [, , , root, mountpoint] = before.split(" ");
    const type = after.split(" ", 1)[0];
    if (type === "cgroup") mounts.v1 = true;
    if (type !== "cgroup2" || root !== "/" || mountpoint === undefined) continue;
    mounts.v2 ??= unescapeMount(mountpoint);
  }
  return mounts;
}

/** Where a process is, by hierarchy: the path in that of version 2, and that in the most telling one of version 1. */
export interface ProcessGroups {
  v2: string | null;
  v1: string | null;
}

/**
 * Hierarchies of version 1 by how much their paths tell: systemd's has every service, the controllers' those that
 * something is limited for. Others come last, in the kernel's order.
 */
const TELLING = ["name=systemd", "pids", "memory", "cpu"];

/** `text` is that of /proc/PID/cgroup: `id:controllers:path` lines; version 2 is `0::path`. A group that is gone is left out. */
export function parseProcessGroups(text: string): ProcessGroups {
  let v2: string | null = null;
  const found: { path: string; rank: number }[] = [];
  for (const line of text.split("\n")) {
    const [, id, controllers, path] = /^(\d+):([^:]*):(\/.*)$/s.exec(line) ?? [];
    if (path === undefined || path.endsWith(" (deleted)")) continue;
    if (id === "0" && controllers === "") v2 = path;
    else found.push({ path, rank: rankOf(controllers!) });
  }
  found.sort((a, b) => a.rank - b.rank);
  const telling = found.find(({ path }) => path !== "/") ?? found[0];
  return { v2, v1: telling?.path ?? null };
}

/** Real user id from the text of /proc/PID/status. */
export function parseUid(status: string): number | null {
  const uid = /^Uid:\t(\d+)/m.exec(status)?.[1];
  return uid === undefined ? null : Number(uid);
}

/**
 * When the process began, in hundredths of a second since boot, from the text of /proc/PID/stat. Its name stands in
 * parentheses and may hold any of both; starttime is field 22, the 20th behind it.
 */
export function parseStartTicks(stat: string): bigint | null {
  const field = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  return field !== undefined && /^\d+$/.test(field) ? BigInt(field) : null;
}

// --- internal ---

/** A controller mounted together with others is named with them: `cpu,cpuacct`. */
function rankOf(controllers: string): number {
  const ranks = controllers.split(",").map((name) => TELLING.indexOf(name));
  return Math.min(...ranks.map((rank) => (rank < 0 ? TELLING.length : rank)));
}

/** The kernel writes space, tab, line break and backslash as \ooo. */
const unescapeMount = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
