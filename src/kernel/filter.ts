/** A socket filter that drops every packet: the one way to lose packets on loopback without touching the host. */
import { ptr } from "bun:ffi";
import { setsockopt, setsockoptInt } from "./libc.ts";
import { SOL_SOCKET, SO_ATTACH_FILTER, SO_DETACH_FILTER } from "./constants.ts";

/** struct sock_filter { code BPF_RET|BPF_K, jt, jf, k 0 }: accept 0 bytes. */
const RETURN_0 = new Uint8Array([0x06, 0, 0, 0, 0, 0, 0, 0]);

/** From now on the socket sees nothing that arrives, as if the network had lost it. */
export function dropArriving(fd: number): number {
  const program = new DataView(new ArrayBuffer(16)); // struct sock_fprog { u16 len; struct sock_filter *filter }
  program.setUint16(0, 1, true);
  program.setBigUint64(8, BigInt(ptr(RETURN_0)), true);
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, new Uint8Array(program.buffer));
}

export function stopDropping(fd: number): number {
  return setsockoptInt(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}
