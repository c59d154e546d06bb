/** The network namespaces of this host, and work done inside of one. */
import { closeSync, openSync, readdirSync, statSync } from "node:fs";
import { CLONE_NEWNET, PROC_PID_INIT_INO } from "./constants.ts";
import * as libc from "./libc.ts";
import { allPids } from "./owners.ts";
import { ofOwnThread } from "./own_thread.ts";
import { textOf } from "./text_file.ts";

export interface Namespace {
  /** Its inode, as the kernel's ns.inum; 0 on a kernel without them, where all sockets are in one place. */
  netns: number;
  /** A file that stands for it. */
  path: string;
}

/** Where `ip netns` keeps namespaces alive that may hold no process. */
const NAMED = "/run/netns";

/** The calling thread's. A kernel without CONFIG_NET_NS has no such file. */
export const ownNetnsPath = (): string => ofOwnThread("ns/net");

/** Its inode, or 0. */
export const ownNetns = (): number => statSync(ownNetnsPath(), { throwIfNoEntry: false })?.ino ?? 0;

/** The host's own, in which its first process is; `null`: from this pid namespace nobody can tell. */
export function hostNamespace(): Namespace | null {
  const path = "/proc/1/ns/net";
  try {
    if (statSync("/proc/self/ns/pid").ino !== PROC_PID_INIT_INO) return null;
    return { netns: statSync(path).ino, path };
  } catch {
    return null; // A kernel without these namespaces.
  }
}

/** The calling thread's first. One that is only kept by a file descriptor or a socket cannot be found. */
export function networkNamespaces(): Namespace[] {
  const ownPath = ownNetnsPath();
  const own = statSync(ownPath, { throwIfNoEntry: false });
  if (own === undefined) return [{ netns: 0, path: ownPath }];
  const found = new Map<number, string>([[own.ino, ownPath]]);
  for (const path of standingFor()) {
    try {
      const { ino, dev } = statSync(path);
      // A name whose mount is gone is an ordinary file.
      if (dev === own.dev && !found.has(ino)) found.set(ino, path);
    } catch {
      continue; // the process has ended
    }
  }
  return [...found].map(([netns, path]) => ({ netns, path }));
}

/** Whether a process is in the namespace with this inode, or a name keeps it; true where nobody can tell. */
export function hasNamespace(netns: number): boolean {
  if (hostNamespace() === null) return true;
  return standingFor().some((path) => {
    try {
      return statSync(path).ino === netns;
    } catch (error) {
      // The process has ended, or another security module than the usual ones hides it.
      return (error as { code?: string }).code !== "ENOENT";
    }
  });
}

/** Moves only the calling thread, for the time of `work`. `null`: the namespace has gone, or must not be entered. */
export function inNamespace<T>({ path }: Namespace, work: () => T): T | null {
  const ownPath = ownNetnsPath();
  if (path === ownPath) return work();
  const home = openSync(ownPath, "r");
  try {
    if (!enter(path)) return null;
    try {
      return work();
    } finally {
      comeBack(home);
    }
  } finally {
    closeSync(home);
  }
}

/** net.ipv4.ip_local_port_range of the calling thread's namespace, or "" where it cannot be read. */
export const localPortRange = (): string => textOf("/proc/sys/net/ipv4/ip_local_port_range") ?? "";

// --- internal ---

/** The files that stand for namespaces. Some are gone by the time that they are looked at. */
const standingFor = (): string[] => [
  ...allPids().map((pid) => `/proc/${pid}/ns/net`),
  ...namesIn(NAMED).map((name) => `${NAMED}/${name}`),
];

function enter(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return false;
  }
  try {
    return libc.setns(fd, CLONE_NEWNET) === 0;
  } finally {
    closeSync(fd);
  }
}

function comeBack(home: number): void {
  const r = libc.setns(home, CLONE_NEWNET);
  // Everything that follows would happen in the wrong place.
  if (r < 0) throw new Error(`return to the own network namespace: ${libc.errnoName(r)}`);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
