/**
 * Parses the files of /proc about processes and control groups. Names in them are in no promised encoding: the texts are
 * read as latin1, which keeps every byte apart. Pure.
 */

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

/** The real id, of four, from the text of /proc/PID/status. */
export function parseRealId(status: string, which: "Uid" | "Gid"): number | null {
  const id = new RegExp(`^${which}:\\t(\\d+)`, "m").exec(status)?.[1];
  return id === undefined ? null : Number(id);
}

/** Signals that it ignores, from the text of /proc/PID/status: bit n - 1 is signal n. */
export function parseIgnored(status: string): bigint {
  const ignored = /^SigIgn:\t([0-9a-f]+)$/m.exec(status)?.[1];
  return ignored === undefined ? 0n : BigInt(`0x${ignored}`);
}

export interface ProcessStat {
  /** When it began, in hundredths of a second since boot. */
  startTicks: bigint;
  /** The pid of its parent; 0: it has none, or none in this pid namespace. */
  parent: number;
  /** On its way out, or a zombie: hierarchies of version 1 show it at their root by now. */
  exiting: boolean;
  /** A thread of the kernel: it runs no program. */
  ofKernel: boolean;
  /** The letter of proc(5): R runs or could, D waits and cannot be disturbed, S sleeps. */
  state: string;
}

/** From the text of /proc/PID/stat, whose second field is the name in parentheses and may hold any of both. */
export function parseStat(stat: string): ProcessStat | null {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, parent, flags, starttime] = [
    fields[0]!,
    fields[PPID - 3],
    fields[FLAGS - 3],
    fields[STARTTIME - 3],
  ];
  if (flags === undefined || starttime === undefined || !/^\d+$/.test(starttime)) return null;
  return {
    startTicks: BigInt(starttime),
    parent: Number(parent),
    exiting: (Number(flags) & PF_EXITING) !== 0,
    ofKernel: (Number(flags) & PF_KTHREAD) !== 0,
    state,
  };
}

/**
 * start_stack, arg_start, arg_end, env_start, env_end from the text of /proc/self/stat: where the process has them in its
 * memory. `null`: this kernel does not tell (0 to those who may not know).
 */
export function parseMemoryMarks(stat: string): bigint[] | null {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const marks = MEMORY_MARKS.map((field) => fields[field - 3] ?? "");
  return marks.every((mark) => /^[1-9]\d*$/.test(mark)) ? marks.map(BigInt) : null;
}

// --- internal ---

/** As proc(5) numbers the fields. */
const PPID = 4;
const FLAGS = 9;
const STARTTIME = 22;
const MEMORY_MARKS = [28, 48, 49, 50, 51];
const PF_EXITING = 4;
const PF_KTHREAD = 0x0020_0000;

/** A controller mounted together with others is named with them: `cpu,cpuacct`. */
function rankOf(controllers: string): number {
  const ranks = controllers.split(",").map((name) => TELLING.indexOf(name));
  return Math.min(...ranks.map((rank) => (rank < 0 ? TELLING.length : rank)));
}
