/** Finds in /proc the process that holds a socket: for tracepoint mode, where no probe sees accept(2). */
import { readdirSync, readlinkSync } from "node:fs";
import { monotonicTicks } from "./clock.ts";
import type * as layout from "../record/layout.gen.ts";
import { cgroupIdOf, commOf, lifeOf, realIdOf } from "./process.ts";

/**
 * As the kernel side fills one, but for numbers that /proc has otherwise: `pid` in the tool's own pid namespace, `uid` as
 * it is now, `program` 0 because /proc has the command line.
 */
export interface Owner extends layout.Owner {
  /** On the monotonic clock, to 10 ms: when the process began. */
  startedNs: bigint;
}

/**
 * Owners by socket inode, for those of `inodes` that exactly one of `pids` holds. `between` is called all the time. A
 * socket that several hold (after a fork) is left out: which of them accepted it cannot be told.
 */
export function findOwners(
  inodes: ReadonlySet<number>,
  pids: Iterable<number>,
  between: () => void = () => {},
): Map<number, Owner> {
  const holders = new Map<number, number[]>();
  for (const pid of pids) {
    for (const ino of socketsOf(pid)) {
      between();
      if (!inodes.has(ino)) continue;
      const known = holders.get(ino) ?? [];
      if (!known.includes(pid)) holders.set(ino, [...known, pid]);
    }
  }
  const owners = new Map<number, Owner>();
  for (const [ino, [pid, another]] of holders) {
    const owner = another === undefined ? ownerOf(pid!) : null;
    if (owner !== null) owners.set(ino, owner);
  }
  return owners;
}

export function allPids(): number[] {
  return readdirSync("/proc").map(Number).filter(Number.isInteger);
}

// --- internal ---

function* socketsOf(pid: number): Iterable<number> {
  let fds: string[];
  try {
    fds = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return; // gone, or a kernel thread's
  }
  for (const fd of fds) {
    let target: string;
    try {
      target = readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      continue;
    }
    if (target.startsWith("socket:[")) yield Number(target.slice(8, -1));
  }
}

function ownerOf(pid: number): Owner | null {
  try {
    return {
      pid,
      comm: commOf(pid),
      uid: realIdOf(pid, "Uid"),
      cgroup_id: cgroupIdOf(pid) ?? 0n,
      program: 0n,
      owned_at: monotonicTicks(),
      startedNs: lifeOf(pid).startedNs,
    };
  } catch {
    return null;
  }
}
