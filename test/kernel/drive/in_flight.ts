/** Descriptors sent over a socket of AF_UNIX. */
import { dlopen, FFIType, ptr } from "bun:ffi";
import * as libc from "../../../src/kernel/libc.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET } from "../../../src/kernel/constants.ts";
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

export function unixPair(): [number, number] {
  const fds = new Int32Array(2);
  check(symbols.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ptr(fds)), "socketpair");
  return [fds[0]!, fds[1]!];
}

export function sendDescriptors(socket: number, fds: readonly number[]): void {
  const data = Uint8Array.of(1);
  const control = new DataView(new ArrayBuffer(CMSGHDR + 8 * Math.ceil(fds.length / 2)));
  control.setBigUint64(0, BigInt(CMSGHDR + 4 * fds.length), true);
  control.setInt32(8, SOL_SOCKET, true);
  control.setInt32(12, SCM_RIGHTS, true);
  for (const [i, fd] of fds.entries()) control.setInt32(CMSGHDR + 4 * i, fd, true);
  check(Number(symbols.sendmsg(socket, ptr(headerOf(data, control)), 0)), "sendmsg");
}

/** Blocks until one comes; null: the other end is closed. */
export function receiveDescriptor(socket: number): number | null {
  const data = new Uint8Array(1);
  const control = new DataView(new ArrayBuffer(CMSGHDR + 8));
  const got = Number(symbols.recvmsg(socket, ptr(headerOf(data, control)), 0));
  return check(got, "recvmsg") === 0 ? null : control.getInt32(CMSGHDR, true);
}

// --- internal ---

const SCM_RIGHTS = 1;
/** struct cmsghdr, and struct msghdr with its padding. */
const [CMSGHDR, MSGHDR] = [16, 56];

const { symbols } = dlopen("libc.so.6", {
  socketpair: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr],
    returns: FFIType.i32,
  },
  sendmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i64_fast },
  recvmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i64_fast },
});

/** A struct msghdr; the buffers must live as long as the call. */
function headerOf(data: Uint8Array, control: DataView): BigUint64Array {
  const vector = BigUint64Array.of(BigInt(ptr(data)), BigInt(data.length));
  kept.set(data, vector);
  const header = new BigUint64Array(MSGHDR / 8);
  header[2] = BigInt(ptr(vector));
  header[3] = 1n;
  header[4] = BigInt(ptr(control));
  header[5] = BigInt(control.byteLength);
  return header;
}

/** A header holds mere addresses. */
const kept = new WeakMap<Uint8Array, BigUint64Array>();
