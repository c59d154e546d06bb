/** Finds the new records of a batch: the same batch may be seen part full at one poll, and full later. Pure. */
import { BATCH_ROOM, type Batch, type Conn } from "./conn.ts";

/** A batch that nothing was heard of for so long is forgotten. */
const IDLE_MS = 60_000;

interface Read {
  /** How many of its connections were given out. */
  taken: number;
  seenMs: number;
}

export class Batches {
  /** By CPU and batch: a CPU's next batch may be looked at before its full one has come through the ring. */
  readonly #read = new Map<number, Map<bigint, Read>>();

  /** Connections that were not given out before, whether the batch is full or still being filled. */
  take(batch: Batch, nowMs: number): Conn[] {
    const ofCpu = this.#read.get(batch.cpu) ?? new Map<bigint, Read>();
    const taken = ofCpu.get(batch.id)?.taken ?? 0;
    if (batch.len === BATCH_ROOM) {
      // A CPU fills one after the other, so full ones that are older will not come again.
      for (const [id, read] of ofCpu)
        if (id < batch.id && read.taken === BATCH_ROOM) ofCpu.delete(id);
    }
    ofCpu.set(batch.id, { taken: Math.max(taken, batch.len), seenMs: nowMs });
    this.#read.set(batch.cpu, ofCpu);
    return batch.conns().slice(taken);
  }

  /** Forgets what is old; returns how many batches are still remembered. */
  expire(nowMs: number): number {
    let left = 0;
    for (const [cpu, ofCpu] of this.#read) {
      for (const [id, { seenMs }] of ofCpu) if (nowMs - seenMs > IDLE_MS) ofCpu.delete(id);
      if (ofCpu.size === 0) this.#read.delete(cpu);
      left += ofCpu.size;
    }
    return left;
  }
}
