/** Finds in /proc the processes that hold a socket: for tracepoint mode, where no probe sees accept(2). */
import { readdirSync, readlinkSync } from "node:fs";
import type * as layout from "../record/layout.gen.ts";
import { monotonicTicks } from "./clock.ts";
import { haveSameFiles } from "./libc.ts";
import { cgroupIdOf, commOf, lifeOf, realIdOf } from "./process.ts";

/**
 * As the kernel side fills one, but for numbers that /proc has otherwise: `pid` in the tool's own pid namespace, `uid` as
 * it is now, `program` 0 because /proc has the command line.
 */
export interface Owner extends layout.Owner {
  /** On the monotonic clock, to 10 ms: when the process began. */
  startedNs: bigint;
}

/** A process, and the thread in whose descriptors the socket is. */
export interface Holder {
  pid: number;
  tid: number;
}

/** By socket inode, each process once. */
export type Holders = Map<number, Holder[]>;

/**
 * The holders, among `pids`, of the sockets of these inodes. `between` is called all the time. For the inodes that no process holds
 * in the descriptors of its first thread, those of its other threads are looked at.
 */
export function findHolders(
  inodes: ReadonlySet<number>,
  pids: Iterable<number>,
  between: () => void = () => {},
): Holders {
  const all = [...pids];
  const holders: Holders = new Map();
  addHolders(holders, inodes, all.map(firstThread), between);
  const missing = new Set([...inodes].filter((ino) => !holders.has(ino)));
  if (missing.size > 0) addHolders(holders, missing, otherTables(all, between), between);
  return holders;
}

/** Owners of those that exactly one process holds. Of a socket that several hold (after a fork) the owner cannot be told. */
export function findOwners(
  inodes: ReadonlySet<number>,
  pids: Iterable<number>,
  between: () => void = () => {},
): Map<number, Owner> {
  const owners = new Map<number, Owner>();
  for (const [ino, [first, ...others]] of findHolders(inodes, pids, between)) {
    const owner = others.length > 0 ? null : ownerOf(first!);
    if (owner !== null) owners.set(ino, owner);
  }
  return owners;
}

export function addHolder(holders: Holders, ino: number, holder: Holder): void {
  const known = holders.get(ino);
  if (known === undefined) holders.set(ino, [holder]);
  else if (!known.some(({ pid }) => pid === holder.pid)) known.push(holder);
}

export function allPids(): number[] {
  return readdirSync("/proc").map(Number).filter(Number.isInteger);
}

/**
 * A thread with descriptors of its own is named, as in kprobe mode. A first thread that has ended left them to all others,
 * so it still names the process; but it is in no control group of version 1 any more. `null`: gone.
 */
export function ownerOf({ pid, tid }: Holder): Owner | null {
  try {
    return {
      pid,
      ...nameOf({ pid, tid }),
      uid: realIdOf(tid, "Uid"),
      listener_ino: 0,
      cgroup_id: cgroupIdOf(tid) ?? 0n,
      program: 0n,
      owned_at: monotonicTicks(),
      startedNs: lifeOf(pid).startedNs,
    };
  } catch {
    return null;
  }
}

// --- internal ---

/** As the kernel side tells it: the thread's name. */
function nameOf({ pid, tid }: Holder): Pick<Owner, "comm" | "of_thread"> {
  const isFirst = tid === pid || isOver(pid);
  return { comm: commOf(isFirst ? pid : tid), of_thread: isFirst ? 0 : 1 };
}

const firstThread = (pid: number): Holder => ({ pid, tid: pid });

function addHolders(
  holders: Holders,
  inodes: ReadonlySet<number>,
  among: Iterable<Holder>,
  between: () => void,
): void {
  for (const holder of among) {
    for (const ino of socketsOf(holder.tid)) {
      between();
      if (inodes.has(ino)) addHolder(holders, ino, holder);
    }
  }
}

/**
 * One thread for each table of descriptors that is not the first thread's: of threads that called unshare(2), and of a
 * process whose first thread has ended and so has no descriptors any more.
 */
function* otherTables(pids: readonly number[], between: () => void): Iterable<Holder> {
  for (const pid of pids) {
    between();
    const tids = threadsOf(pid);
    if (tids.length < 2) continue;
    const seen = isOver(pid) ? [] : [pid];
    for (const tid of tids) {
      if (tid === pid || seen.some((other) => haveSameFiles(other, tid))) continue;
      seen.push(tid);
      yield { pid, tid };
    }
  }
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

/** Of a first thread: others of its process may still run. */
function isOver(pid: number): boolean {
  try {
    return lifeOf(pid).exiting;
  } catch {
    return true;
  }
}

/** A thread that is not the first is in no list of /proc, but found there. */
function* socketsOf(tid: number): Iterable<number> {
  let fds: string[];
  try {
    fds = readdirSync(`/proc/${tid}/fd`);
  } catch {
    return; // gone, or a kernel thread's
  }
  for (const fd of fds) {
    let target: string;
    try {
      target = readlinkSync(`/proc/${tid}/fd/${fd}`);
    } catch {
      continue;
    }
    if (target.startsWith("socket:[")) yield Number(target.slice(8, -1));
  }
}
