/**
 * The inode numbers that the kernel has given to sockets so far. It gives them in ascending order, to each CPU a batch at a
 * time (get_next_ino in fs/inode.c). They have 32 bits and begin anew. Pure.
 */
import { InodeBatch } from "../record/layout.gen.ts";

export interface InodesSoFar {
  /** The newest number of each batch that a CPU has, as far as CPUs could be asked, by batch. */
  newest: ReadonlyMap<number, number>;
  /** No CPU had this batch or a later one. */
  firstBatch: number;
}

/** The kernel; see the functions of these names in shim.ts. */
export interface InodeSource {
  newestInodes(cpus: number): Uint32Array;
  giveInodes(cpu: number, count: number): number | null;
}

export const batchOf = (ino: number): number => ((ino - 1) >>> 0) >>> InodeBatch.INODE_BATCH_BITS;

/**
 * The newest number of each CPU below `cpus`. Then the CPU with the fewest numbers left in its batch gives all of them, and
 * the first of a new batch. null: no CPU could be asked.
 */
export function inodesSoFar(cpus: number, kernel: InodeSource): InodesSoFar | null {
  const inos = kernel.newestInodes(cpus);
  const newest = new Map<number, number>();
  let least: { cpu: number; ino: number } | null = null;
  for (const [cpu, ino] of inos.entries()) {
    if (ino === 0) continue;
    newest.set(batchOf(ino), ino);
    if (least === null || leftOf(ino) < leftOf(least.ino)) least = { cpu, ino };
  }
  if (least === null) return null;
  let last = least.ino;
  // Others may use the rest of the batch meanwhile.
  while (batchOf(last) === batchOf(least.ino)) {
    const next = kernel.giveInodes(least.cpu, leftOf(last) + 1);
    if (next === null) return null;
    last = next;
  }
  return { newest, firstBatch: batchOf(last) };
}

// --- internal ---

const BATCH = 1 << InodeBatch.INODE_BATCH_BITS;

/** Of its batch. */
const leftOf = (ino: number): number => BATCH - 1 - (((ino - 1) >>> 0) % BATCH);
