/** The capabilities of this process: of each of its threads, since the kernel has them per thread. */
import { readdirSync, readFileSync } from "node:fs";
import type { Capabilities } from "./capability.ts";
import { errnoName } from "./libc.ts";
import { ofOwnThread } from "./own_thread.ts";
import { KernelError, type Shim } from "./shim.ts";

/** Permitted to the main thread. */
function permitted(): Capabilities {
  return permittedTo(readFileSync(ofOwnThread("status"), "latin1"));
}

/** Whether `work` goes well with these alone: a KernelError says no. Throws one where it cannot be tried. */
export function goesWith(shim: Shim, few: Capabilities, work: () => void): boolean {
  const all = permitted();
  shim.capsEffective(few);
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof KernelError) return false;
    throw error;
  } finally {
    shim.capsEffective(all);
  }
}

/** Threads that are still to be told may start others meanwhile. */
const ROUNDS = 10;

/** For good, in every thread. Returns the names of those that kept more, with the reason. */
export function dropAllBut(shim: Shim, keep: Capabilities): string[] {
  const behind = () => threads().filter((thread) => (thread.permitted & ~keep) !== 0n);
  // The main one first: what it starts from here on has no more.
  drop(shim, process.pid, keep);
  for (let round = 0, left = behind(); round < ROUNDS && left.length > 0; round++) {
    const refused = left.flatMap(({ tid, name }) => {
      const why = drop(shim, tid, keep);
      return why === null ? [] : [`${name} (${why})`];
    });
    if (refused.length > 0) return refused;
    left = behind();
  }
  return behind().map(({ name }) => `${name} (it was started meanwhile)`);
}

// --- internal ---

/** Why not; `null`: it was. */
function drop(shim: Shim, tid: number, keep: Capabilities): string | null {
  try {
    shim.capsDrop(tid, keep);
    return null;
  } catch (error) {
    if (error instanceof KernelError) return errnoName(error.errno);
    throw error;
  }
}

function threads(): { tid: number; name: string; permitted: Capabilities }[] {
  return readdirSync("/proc/self/task").flatMap((tid) => {
    try {
      const status = readFileSync(`/proc/self/task/${tid}/status`, "latin1");
      const name = /^Name:\s*(.*)$/m.exec(status)?.[1] ?? tid;
      return [{ tid: Number(tid), name, permitted: permittedTo(status) }];
    } catch {
      return []; // It has ended.
    }
  });
}

const permittedTo = (status: string): Capabilities =>
  BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)/m.exec(status)![1]}`);
