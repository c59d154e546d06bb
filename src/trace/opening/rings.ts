/** The rings of a trace: as large as a burst wants them, or as the locked memory of this process allows. */
import { EPERM } from "../../kernel/constants.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { getpagesize } from "../../kernel/libc.ts";
import { KernelError, type PerfRings, type Shim } from "../../kernel/shim.ts";
import { EVENT_BATCH_ASLEEP, EVENT_BATCH_LEN } from "../../record/layout.gen.ts";
import { LEAST_RING_BYTES } from "./room.ts";
import { batchByTool } from "../stream/batches.ts";

export interface OpenRings {
  rings: PerfRings;
  /** For the user, where they are smaller than they should be. */
  note: string | null;
}

/** Of at most `bytes` per CPU, a power of two. Throws a KernelError where even small ones are refused. */
export function openRings(shim: Shim, object: KernelObject, bytes: number): OpenRings {
  const opened = openLargest(shim, object.mapFd("events"), bytes);
  if (!object.loaded(batchByTool)) return opened;
  try {
    const [map, program] = [object.mapFd("batches"), object.progFd(batchByTool)];
    shim.ringsBatches(opened.rings, map, program, EVENT_BATCH_LEN, EVENT_BATCH_ASLEEP);
    return opened;
  } catch (error) {
    shim.ringsClose(opened.rings);
    throw error;
  }
}

// --- internal ---

function openLargest(shim: Shim, mapFd: number, wanted: number): OpenRings {
  for (let bytes = wanted; ; bytes /= 2) {
    try {
      const rings = shim.ringsOpen(mapFd, Math.max(1, bytes / getpagesize()));
      return { rings, note: bytes < wanted ? smallerNote(bytes) : null };
    } catch (error) {
      // Without CAP_IPC_LOCK they count against RLIMIT_MEMLOCK, and what is too much reads EPERM.
      const tooMuch = error instanceof KernelError && error.errno === EPERM;
      if (!tooMuch || bytes <= LEAST_RING_BYTES) throw error;
    }
  }
}

function smallerNote(bytes: number): string {
  const size = `${bytes >> 10} KiB per processor`;
  return `bursts may be lost, because rings have only ${size}: give it CAP_IPC_LOCK, or raise ulimit -l`;
}
