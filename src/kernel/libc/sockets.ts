/** System calls on sockets. Addresses are made and read by sockaddr.ts. */
import { ptr } from "bun:ffi";
import { bytesOf, libc, memory, result, type Fd, type Memory } from "./symbols.ts";

export const socket = (domain: number, type: number, protocol: number): Fd =>
  result(libc.socket(domain, type, protocol));

/** Addresses are made and read by sockaddr.ts. */
export const bind = (fd: Fd, address: Uint8Array): number =>
  result(libc.bind(fd, address, address.length));

export const listen = (fd: Fd, backlog: number): number => result(libc.listen(fd, backlog));

export const connect = (fd: Fd, address: Uint8Array): number =>
  result(libc.connect(fd, address, address.length));

export const accept4 = (fd: Fd, flags: number): Fd => result(libc.accept4(fd, null, null, flags));

export const shutdown = (fd: Fd, how: number): number => result(libc.shutdown(fd, how));

export const send = (fd: Fd, data: Uint8Array, flags: number): number =>
  result(libc.send(fd, memory(data), data.length, flags));

/** `length` may exceed the buffer only with MSG_TRUNC, which drops the bytes inside the kernel. */
export const recv = (fd: Fd, into: Memory, flags: number, length = into?.length ?? 0): number =>
  result(libc.recv(fd, memory(into), length, flags));

export const sendto = (fd: Fd, data: Memory, flags: number, address: Uint8Array): number =>
  result(libc.sendto(fd, memory(data), data?.length ?? 0, flags, address, address.length));

/** With `from` (128 bytes hold any address) also tells the sender. */
export function recvfrom(fd: Fd, into: Uint8Array, flags: number, from: Memory = null): number {
  const length = from && bytesOf(Uint32Array.of(from.length));
  return result(libc.recvfrom(fd, memory(into), into.length, flags, from, length));
}

/** To the socket's peer, each of `data` a datagram. Returns how many were sent. */
export function sendmmsg(fd: Fd, data: readonly Uint8Array[], flags: number): number {
  const { headers, vectors } = mmsghdrs(data);
  const r = result(libc.sendmmsg(fd, headers, data.length, flags));
  return vectors.length > 0 ? r : 0;
}

/** Returns the length of each datagram received, at most one into each of `into`. */
export function recvmmsg(fd: Fd, into: readonly Uint8Array[], flags: number): number[] | number {
  const { headers, vectors } = mmsghdrs(into);
  const r = result(libc.recvmmsg(fd, headers, into.length, flags, null));
  if (r < 0 || vectors.length === 0) return r;
  const view = new DataView(headers.buffer);
  return Array.from({ length: r }, (_, i) => view.getUint32(i * MMSGHDR + MSG_LEN, true));
}

export const setsockopt = (fd: Fd, level: number, name: number, value: Uint8Array): number =>
  result(libc.setsockopt(fd, level, name, value, value.length));

export const setsockoptInt = (fd: Fd, level: number, name: number, value: number): number =>
  setsockopt(fd, level, name, bytesOf(Int32Array.of(value)));

/** Fills `into` and returns how many bytes the kernel gave, which for TCP_INFO depends on its version. */
export function getsockopt(fd: Fd, level: number, name: number, into: Uint8Array): number {
  const length = Uint32Array.of(into.length);
  const r = result(libc.getsockopt(fd, level, name, into, bytesOf(length)));
  return r < 0 ? r : length[0]!;
}

/** The option's value, which may itself be negative: callers who expect that use getsockopt. */
export function getsockoptInt(fd: Fd, level: number, name: number): number {
  const value = new Int32Array(1);
  const r = getsockopt(fd, level, name, bytesOf(value));
  return r < 0 ? r : value[0]!;
}

/** Both fill `into` (128 bytes hold any address) and return the address's length. */
export const getsockname = (fd: Fd, into: Uint8Array): number => nameOf(libc.getsockname, fd, into);
export const getpeername = (fd: Fd, into: Uint8Array): number => nameOf(libc.getpeername, fd, into);

// --- internal ---

/** struct mmsghdr: a struct msghdr of 56 bytes and u32 msg_len, padded. */
const MMSGHDR = 64;
const MSG_LEN = 56;
const MSG_IOV = 16;

/** One struct iovec each. The headers point to the vectors: who uses the ones must hold the others. */
function mmsghdrs(data: readonly Uint8Array[]): { headers: Uint8Array; vectors: BigUint64Array } {
  const headers = new Uint8Array(data.length * MMSGHDR);
  const vectors = new BigUint64Array(data.length * 2);
  const view = new DataView(headers.buffer);
  for (const [i, bytes] of data.entries()) {
    vectors.set([BigInt(ptr(bytes)), BigInt(bytes.length)], 2 * i);
    view.setBigUint64(i * MMSGHDR + MSG_IOV, BigInt(ptr(vectors, i * 16)), true);
    view.setBigUint64(i * MMSGHDR + MSG_IOV + 8, 1n, true);
  }
  return { headers, vectors };
}

type NameCall = typeof libc.getsockname | typeof libc.getpeername;

function nameOf(call: NameCall, fd: Fd, into: Uint8Array): number {
  const length = Uint32Array.of(into.length);
  const r = result(call(fd, into, bytesOf(length)));
  return r < 0 ? r : length[0]!;
}
