/** Answers of /proc about processes, of this poll, where the shim finds it (src/kernel/shim/lines.c). Pure. */
import { GroupSlots, lineGroupSize, writeLineGroup } from "../../record/layout.gen.ts";
import { TICK_BITS } from "./ticks.ts";

export class GroupTable {
  /** In a buffer of its own, which stays at its address. */
  readonly view = new DataView(new ArrayBuffer(GroupSlots.GROUP_SLOTS * lineGroupSize));
  #isEmpty = true;

  /** `id` stands for the control group of this process. In place of another process with the same slot. */
  set(pid: number, startedNs: bigint, nowNs: bigint, id: number): void {
    const since = startedNs >> TICK_BITS;
    const ticks = (nowNs >> TICK_BITS) - since;
    writeLineGroup(this.view, (pid & (GroupSlots.GROUP_SLOTS - 1)) * lineGroupSize, {
      id: BigInt(id),
      pid,
      since: Number(BigInt.asUintN(32, since)),
      ticks: Number(ticks < TICKS_MAX ? ticks : TICKS_MAX),
    });
    this.#isEmpty = false;
  }

  clear(): void {
    if (this.#isEmpty) return;
    new Uint8Array(this.view.buffer).fill(0);
    this.#isEmpty = true;
  }
}

// --- internal ---

/** owned_at has the low 32 bits. */
const TICKS_MAX = 0xffff_ffffn;
