/** Descriptors in flight: sent over a socket of AF_UNIX, and not received yet. */
import { dlopen, FFIType, ptr } from "bun:ffi";
import * as libc from "../../../src/kernel/libc.ts";
import { SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET } from "../../../src/kernel/constants.ts";
import { check } from "./peer.ts";

/**
 * Closes these descriptors while they are in flight to a socket that is in flight to itself: nobody can receive them any
 * more, so the kernel's collector closes the sockets. From 6.9 on, and where that was ported back, it is a kworker; else
 * whoever closes a socket of AF_UNIX next.
 */
export function loseInFlight(fds: readonly number[]): void {
  const [from, to] = unixPair();
  sendDescriptors(from, [to, ...fds]);
  for (const fd of [...fds, to, from]) check(libc.close(fd), "close");
  for (const fd of unixPair()) check(libc.close(fd), "close");
}

// --- internal ---

const AF_UNIX = 1;
const SCM_RIGHTS = 1;
/** struct cmsghdr, and struct msghdr with its padding. */
const [CMSGHDR, MSGHDR] = [16, 56];

const { symbols } = dlopen("libc.so.6", {
  socketpair: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr],
    returns: FFIType.i32,
  },
  sendmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i64_fast },
});

function unixPair(): [number, number] {
  const fds = new Int32Array(2);
  check(symbols.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ptr(fds)), "socketpair");
  return [fds[0]!, fds[1]!];
}

function sendDescriptors(socket: number, fds: readonly number[]): void {
  const data = Uint8Array.of(1);
  const vector = BigUint64Array.of(BigInt(ptr(data)), 1n);
  const control = new DataView(new ArrayBuffer(CMSGHDR + 8 * Math.ceil(fds.length / 2)));
  control.setBigUint64(0, BigInt(CMSGHDR + 4 * fds.length), true);
  control.setInt32(8, SOL_SOCKET, true);
  control.setInt32(12, SCM_RIGHTS, true);
  for (const [i, fd] of fds.entries()) control.setInt32(CMSGHDR + 4 * i, fd, true);
  const header = new BigUint64Array(MSGHDR / 8);
  header[2] = BigInt(ptr(vector));
  header[3] = 1n;
  header[4] = BigInt(ptr(control));
  header[5] = BigInt(control.byteLength);
  check(Number(symbols.sendmsg(socket, ptr(header), 0)), "sendmsg");
}
