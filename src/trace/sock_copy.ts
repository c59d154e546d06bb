/** Copies of socks that programs of the kernel side have made; see bpf/lib/copy.h. */
import type { KernelObject } from "../kernel/object.ts";
import type { Shim } from "../kernel/shim.ts";
import { readSockCopy, sockCopySize, type SockCopy } from "../record/layout.gen.ts";
import type { HeldPoint, Opened } from "./part.ts";

/** A point of each part that calls copySock(). */
export const COPIER: HeldPoint = { program: "run_sock_copy", held: true };

/** The beginning of the sock at this address. */
export function copySock({ host: { shim }, object }: Opened, sk: bigint): Uint8Array {
  shim.testRun(object.progFd(COPIER.program), BigUint64Array.of(sk));
  return sockCopyAt(shim, object, 0).bytes;
}

/** The copy in this slot of the map, below SockCopySize.SOCK_COPIES; its sk is 0 if there is none yet. */
export function sockCopyAt(shim: Shim, object: KernelObject, slot: number): SockCopy {
  const value = new Uint8Array(sockCopySize);
  shim.mapLookup(object.mapFd("sock_copies"), Uint32Array.of(slot), value);
  return readSockCopy(new DataView(value.buffer), 0);
}
