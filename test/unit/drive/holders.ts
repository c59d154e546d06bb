/** Holders of sockets, as a test says. */
import type { Holder } from "../../../src/kernel/owners.ts";
import { readOwner, ownerSize } from "../../../src/record/layout.gen.ts";
import type { HolderSource, Walk } from "../../../src/trace/tcp/acceptors.ts";

/** A walk at this time that found these processes, by inode. */
export function walkAt(atNs: number, held: Record<number, readonly number[]>): Walk {
  const holders = new Map(
    Object.entries(held).map(([ino, pids]) => [Number(ino), pids.map(holderOf)]),
  );
  return {
    beganNs: atNs,
    endedNs: atNs,
    whole: true,
    holders,
    accepted: holders,
    listeners: new Map(),
  };
}

export const holderOf = (pid: number): Holder => ({ pid, tid: pid });

export const ownerOf = (pid: number, startedNs = 0n) => ({
  ...readOwner(new DataView(new ArrayBuffer(ownerSize)), 0),
  pid,
  startedNs,
});

/** Of a host on which no process holds a listener. */
export const nobodyHolds: HolderSource = { walk: () => walkAt(0, {}), owner: () => null };
