/** The symbols of libc, and what every call has in common. "libc.so.6" is the name that opens on glibc and on musl alike. */
import { FFIType, dlopen, read as memoryAt } from "bun:ffi";

/** A descriptor, or -errno where a call returns one. */
export type Fd = number;
/** Memory lent to the kernel for the length of one call; `null` is NULL. */
export type Memory = Uint8Array | null;

const n = FFIType.i64_fast;
const p = FFIType.ptr;
const i32 = FFIType.i32;

// To add a call: one line here with its C argument kinds (n number, p memory), one typed function in the file of its kind.
export const { symbols: libc } = dlopen("libc.so.6", {
  __errno_location: { args: [], returns: p },
  syscall: { args: [n, n, p, n], returns: n },
  socket: { args: [n, n, n], returns: i32 },
  bind: { args: [n, p, n], returns: i32 },
  listen: { args: [n, n], returns: i32 },
  connect: { args: [n, p, n], returns: i32 },
  accept4: { args: [n, p, p, n], returns: i32 },
  close: { args: [n], returns: i32 },
  shutdown: { args: [n, n], returns: i32 },
  send: { args: [n, p, n, n], returns: n },
  recv: { args: [n, p, n, n], returns: n },
  sendto: { args: [n, p, n, n, p, n], returns: n },
  recvfrom: { args: [n, p, n, n, p, p], returns: n },
  sendmmsg: { args: [n, p, n, n], returns: i32 },
  recvmmsg: { args: [n, p, n, n, p], returns: i32 },
  read: { args: [n, p, n], returns: n },
  write: { args: [n, p, n], returns: n },
  setsockopt: { args: [n, n, n, p, n], returns: i32 },
  getsockopt: { args: [n, n, n, p, p], returns: i32 },
  getsockname: { args: [n, p, p], returns: i32 },
  getpeername: { args: [n, p, p], returns: i32 },
  ioctl: { args: [n, n, p], returns: i32 },
  fcntl: { args: [n, n, n], returns: i32 },
  flock: { args: [n, n], returns: i32 },
  poll: { args: [p, n, n], returns: i32 },
  open: { args: [p, n, n], returns: i32 },
  sendfile: { args: [n, n, p, n], returns: n },
  splice: { args: [n, p, n, p, n, n], returns: n },
  pipe2: { args: [p, n], returns: i32 },
  unshare: { args: [n], returns: i32 },
  setns: { args: [n, n], returns: i32 },
  getpid: { args: [], returns: i32 },
  getpagesize: { args: [], returns: i32 },
  usleep: { args: [n], returns: i32 },
  uname: { args: [p], returns: i32 },
  getxattr: { args: [p, p, p, n], returns: n },
  name_to_handle_at: { args: [n, p, p, p, n], returns: i32 },
  open_by_handle_at: { args: [n, p, n], returns: i32 },
  prlimit: { args: [n, n, p, p], returns: i32 },
});

export function result(returned: number | bigint): number {
  const value = Number(returned);
  return value < 0 ? -memoryAt.i32(errno_location, 0) : value;
}

/** FFI refuses an empty array's pointer; a length of 0 makes NULL right. */
export function memory(bytes: Memory): Memory {
  return bytes === null || bytes.length === 0 ? null : bytes;
}

export function bytesOf(values: Int32Array | Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

// --- internal ---

/** Constant for the thread that loads this module, and a module instance never changes its thread. */
const errno_location = libc.__errno_location()!;
