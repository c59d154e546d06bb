/** Copies of socks that programs of the kernel side have made; see bpf/lib/copy.h. */
import type { KernelObject } from "../kernel/object.ts";
import type { Shim } from "../kernel/shim.ts";
import { readSockCopy, sockCopySize, type SockCopy } from "../record/layout.gen.ts";

/** The copy in this slot of the map, below SockCopySize.SOCK_COPIES; its sk is 0 if there is none yet. */
export function sockCopyAt(shim: Shim, object: KernelObject, slot: number): SockCopy {
  const value = new Uint8Array(sockCopySize);
  shim.mapLookup(object.mapFd("sock_copies"), Uint32Array.of(slot), value);
  return readSockCopy(new DataView(value.buffer), 0);
}
