/** Names of users, network namespaces and control groups, as people write them. */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from "node:fs";
import { PROC_PID_INIT_INO } from "./constants.ts";
import { mounts } from "./mounts.ts";

/** User ids by name, from /etc/passwd alone: users of a directory service are not in it. */
export function localUsers(): ReadonlyMap<string, number> {
  const users = new Map<string, number>();
  for (const line of readLines("/etc/passwd")) {
    const [name = "", , uid = ""] = line.split(":");
    if (name !== "" && /^\d+$/.test(uid) && !users.has(name)) users.set(name, Number(uid));
  }
  return users;
}

/** Ports by the name of a service or another name of it, from /etc/services. */
export function servicePorts(): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  for (const line of readLines("/etc/services")) {
    const [name = "", at = "", ...more] = line.replace(/#.*/, "").trim().split(/\s+/);
    const [, port] = /^(\d+)\/(?:tcp|udp)$/.exec(at) ?? [];
    if (port === undefined) continue;
    for (const one of [name, ...more]) if (!ports.has(one)) ports.set(one, Number(port));
  }
  return ports;
}

/** Where `ip netns` keeps names. The second is the first on nearly every host. */
export const NETNS_DIRECTORIES = ["/run/netns", "/var/run/netns"] as const;

/** Namespaces that have a name, with the file that stands for each. */
export function namedNetns(): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  for (const directory of NETNS_DIRECTORIES)
    for (const name of filesIn(directory))
      if (!named.has(name)) named.set(name, `${directory}/${name}`);
  return named;
}

/** The inode of the network namespace that a file stands for; else the reason why it stands for none. */
export function netnsAt(path: string): number | string {
  try {
    const { dev, ino } = statSync(path);
    // Asked first: opening what is no namespace, a FIFO say, could wait for ever.
    if (dev === statSync("/proc/self/ns/net").dev && kindOfNamespace(path, ino) === "net")
      return ino;
    return `${path} is no network namespace`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Where hierarchies of control groups are mounted, those of version 1 too; the longest path first. */
export function cgroupMounts(): string[] {
  return mounts()
    .filter(({ type }) => type === "cgroup" || type === "cgroup2")
    .map(({ at }) => at.toString())
    .sort((a, b) => b.length - a.length);
}

/** Whether a control group is there now, in any hierarchy; true where none is mounted, so that nobody can tell. */
export function hasCgroup(path: string, mounts: readonly string[] = cgroupMounts()): boolean {
  return mounts.length === 0 || mounts.some((point) => existsSync(`${point}${path}`));
}

/** The paths of all control groups below a mount, once each; `null` where none is mounted, so that nobody can tell. */
export function cgroupPaths(mounts: readonly string[] = cgroupMounts()): string[] | null {
  if (mounts.length === 0) return null;
  const paths = new Set<string>();
  for (const point of mounts) {
    const left = [""];
    for (let at = left.pop(); at !== undefined; at = left.pop())
      for (const inside of directoriesIn(`${point}${at}`)) {
        paths.add(`${at}/${inside}`);
        left.push(`${at}/${inside}`);
      }
  }
  return [...paths];
}

/** Whether the host has a process of this number now; true where its processes have other numbers here. */
export function hasProcess(pid: number): boolean {
  try {
    if (statSync("/proc/self/ns/pid").ino !== PROC_PID_INIT_INO) return true;
    // Not /proc/PID, which hidepid hides. One that is not ours to signal is there.
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code !== "ESRCH";
  }
}

// --- internal ---

/** None of a directory that is gone, or may not be read. */
function directoriesIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((one) =>
      one.isDirectory() ? [one.name] : [],
    );
  } catch {
    return [];
  }
}

/** Inodes of namespaces are unique whatever their kind, and look all alike. */
function kindOfNamespace(path: string, inode: number): string {
  const fd = openSync(path, "r");
  try {
    const named = new RegExp(`\\b(\\w+):\\[${inode}\\]$`);
    // A file that a namespace is mounted on is known by its own name; then the list of mounts tells.
    const names = [readlinkSync(`/proc/self/fd/${fd}`), ...mounts().map(({ root }) => root)];
    const kinds = names.flatMap((name) => named.exec(name)?.[1] ?? []);
    // Mounted out of our sight: where namespaces of the network are asked for, it will be one.
    return kinds[0] ?? "net";
  } finally {
    closeSync(fd);
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n");
  } catch {
    return [];
  }
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
