/**
 * System calls through libc. Each returns what the kernel does: a number >= 0, or -errno. None throws, none retries:
 * -EINTR and -EAGAIN are the caller's. A call that blocks blocks the whole event loop.
 *
 * "libc.so.6" is the name that opens on glibc and on musl alike; every symbol exists since glibc 2.14.
 */
import { FFIType, dlopen, ptr, read as memoryAt } from "bun:ffi";
import { constants } from "node:os";
import {
  AF_INET,
  IFF_UP,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  SIOCGIFFLAGS,
  SIOCSIFFLAGS,
  SOCK_DGRAM,
} from "./constants.ts";

/** A descriptor, or -errno where a call returns one. */
export type Fd = number;
/** Memory lent to the kernel for the length of one call; `null` is NULL. */
export type Memory = Uint8Array | null;

const n = FFIType.i64_fast;
const p = FFIType.ptr;
const i32 = FFIType.i32;

// To add a call: one line here with its C argument kinds (n number, p memory), one typed function below.
const { symbols: libc } = dlopen("libc.so.6", {
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

/** For the calls that libc has no wrapper for: their numbers are the architecture's own. */
const arm64 = process.arch === "arm64";

/** Constant for the thread that loads this module, and a module instance never changes its thread. */
const errno_location = libc.__errno_location()!;

export const socket = (domain: number, type: number, protocol: number): Fd =>
  result(libc.socket(domain, type, protocol));

/** Addresses are made and read by sockaddr.ts. */
export const bind = (fd: Fd, address: Uint8Array): number =>
  result(libc.bind(fd, address, address.length));

export const listen = (fd: Fd, backlog: number): number => result(libc.listen(fd, backlog));

export const connect = (fd: Fd, address: Uint8Array): number =>
  result(libc.connect(fd, address, address.length));

export const accept4 = (fd: Fd, flags: number): Fd => result(libc.accept4(fd, null, null, flags));

export const close = (fd: Fd): number => result(libc.close(fd));

/** Its lock goes with the last descriptor of the open file. `operation` is LOCK_*. */
export const flock = (fd: Fd, operation: number): number => result(libc.flock(fd, operation));

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

export const read = (fd: Fd, into: Uint8Array): number =>
  result(libc.read(fd, memory(into), into.length));

export const write = (fd: Fd, data: Uint8Array): number =>
  result(libc.write(fd, memory(data), data.length));

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

export const ioctl = (fd: Fd, request: number, argument: Memory): number =>
  result(libc.ioctl(fd, request, argument));

/** For the requests that store one int: SIOCINQ, SIOCOUTQ, SIOCATMARK. */
export function ioctlInt(fd: Fd, request: number): number {
  const value = new Int32Array(1);
  const r = ioctl(fd, request, bytesOf(value));
  return r < 0 ? r : value[0]!;
}

export const fcntl = (fd: Fd, command: number, argument: number): number =>
  result(libc.fcntl(fd, command, argument));

/** `fds` is an array of struct pollfd, 8 bytes each: i32 fd, i16 events, i16 revents. -1 ms waits for ever. */
export const poll = (fds: Uint8Array, timeout_ms: number): number =>
  result(libc.poll(fds, fds.length >> 3, timeout_ms));

/** The revents of one descriptor, 0 after `timeout_ms`, or -errno. */
export function pollOne(fd: Fd, events: number, timeout_ms: number): number {
  const pollfd = new DataView(new ArrayBuffer(8));
  pollfd.setInt32(0, fd, true);
  pollfd.setInt16(4, events, true);
  const r = poll(new Uint8Array(pollfd.buffer), timeout_ms);
  return r <= 0 ? r : pollfd.getInt16(6, true);
}

export const readable = (fd: Fd, timeout_ms: number): boolean =>
  pollOne(fd, POLLIN, timeout_ms) > 0;
export const writable = (fd: Fd, timeout_ms: number): boolean =>
  pollOne(fd, POLLOUT, timeout_ms) > 0;

/** The other end of a pipe or a socket is closed. */
export const hasNoReader = (fd: Fd): boolean => {
  const events = pollOne(fd, 0, 0);
  return events > 0 && (events & (POLLERR | POLLHUP)) !== 0;
};

export const open = (path: string, flags: number, mode = 0o600): Fd =>
  result(libc.open(cString(path), flags, mode));

/** Fills `handle`, a struct file_handle that says how much room it has, with that of an absolute path. */
export const name_to_handle_at = (path: Uint8Array, handle: Uint8Array): number =>
  result(libc.name_to_handle_at(0, cBytes(path), handle, new Uint8Array(4), 0));

/** `mount` is any descriptor of the file system; `handle` a struct file_handle. */
export const open_by_handle_at = (mount: Fd, handle: Uint8Array, flags: number): Fd =>
  result(libc.open_by_handle_at(mount, handle, flags));

/** Fills `into` with an extended attribute and returns its length; -ENODATA: the file has none. */
export const getxattr = (path: string, name: string, into: Uint8Array): number =>
  result(libc.getxattr(cString(path), cString(name), into, into.length));

/** `offset` is a u64 that the kernel moves on; `null` uses and moves the file's own. */
export const sendfile = (out: Fd, from: Fd, offset: BigUint64Array | null, count: number): number =>
  result(libc.sendfile(out, from, offset && bytesOf(offset), count));

/** Between two descriptors of which at least one is a pipe, at their own positions. */
export const splice = (from: Fd, to: Fd, length: number, flags: number): number =>
  result(libc.splice(from, null, to, null, length, flags));

/** [read end, write end], or -errno. */
export function pipe2(flags: number): [Fd, Fd] | number {
  const fds = new Int32Array(2);
  const r = result(libc.pipe2(bytesOf(fds), flags));
  return r < 0 ? r : [fds[0]!, fds[1]!];
}

/** Moves only the calling thread: threads that the runtime started before stay where they are. */
export const unshare = (flags: number): number => result(libc.unshare(flags));
export const setns = (fd: Fd, type: number): number => result(libc.setns(fd, type));

export const getpid = (): number => libc.getpid();
export const getpagesize = (): number => libc.getpagesize();

/** The thread the kernel sees; equals getpid() on the main thread. glibc has a wrapper only since 2.30. */
export const gettid = (): number => result(libc.syscall(arm64 ? 178 : 186, 0, null, 0));

/** bpf(2), for the few commands the tests need; the tracer itself goes through libbpf. */
export const bpf = (command: number, attr: Uint8Array): number =>
  result(libc.syscall(arm64 ? 280 : 321, command, attr, attr.length));

export const usleep = (us: number): number => result(libc.usleep(us));

export interface Utsname {
  sysname: string;
  nodename: string;
  /** "6.1.0-41-cloud-amd64" */
  release: string;
  /** The build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)" */
  version: string;
  machine: string;
}

/** Cannot fail: the only documented error is a bad pointer. */
export function uname(): Utsname {
  const field = 65;
  const raw = new Uint8Array(6 * field);
  libc.uname(raw);
  const text = (i: number) => {
    const bytes = raw.subarray(i * field, (i + 1) * field);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  };
  return {
    sysname: text(0),
    nodename: text(1),
    release: text(2),
    version: text(3),
    machine: text(4),
  };
}

export interface Rlimit {
  soft: bigint;
  hard: bigint;
}

/** pid 0 is this process. */
export function getrlimit(pid: number, resource: number): Rlimit | number {
  const limits = new BigUint64Array(2);
  const r = result(libc.prlimit(pid, resource, null, bytesOf(limits)));
  return r < 0 ? r : { soft: limits[0]!, hard: limits[1]! };
}

export const setrlimit = (pid: number, resource: number, { soft, hard }: Rlimit): number =>
  result(libc.prlimit(pid, resource, bytesOf(BigUint64Array.of(soft, hard)), null));

/** Is this interface up in the calling thread's network namespace? -errno when it cannot be asked. */
export function interfaceIsUp(name: string): boolean | number {
  const flags = interfaceFlags(name);
  return flags < 0 ? flags : (flags & IFF_UP) !== 0;
}

/** The same as `ip link set NAME up`. */
export function bringInterfaceUp(name: string): number {
  const flags = interfaceFlags(name);
  return flags < 0 ? flags : interfaceFlags(name, flags | IFF_UP);
}

export function bringInterfaceDown(name: string): number {
  const flags = interfaceFlags(name);
  return flags < 0 ? flags : interfaceFlags(name, flags & ~IFF_UP);
}

/** "ECONNREFUSED" for 111 or -111; a number nobody has named stays "errno 999". */
export function errnoName(errno: number): string {
  const number = Math.abs(errno);
  return errnoNames.get(number) ?? `errno ${number}`;
}

// --- internal ---

/** ENOTSUPP is the kernel's own, in no libc header, and bpf(2) returns it. */
const errnoNames = new Map<number, string>([[524, "ENOTSUPP"]]);
for (const [name, number] of Object.entries(constants.errno)) {
  // Two numbers have two names; these are the ones the kernel's sources use.
  if (name !== "EWOULDBLOCK" && name !== "ENOTSUP") errnoNames.set(number, name);
}

function result(returned: number | bigint): number {
  const value = Number(returned);
  return value < 0 ? -memoryAt.i32(errno_location, 0) : value;
}

/** FFI refuses an empty array's pointer; a length of 0 makes NULL right. */
function memory(bytes: Memory): Memory {
  return bytes === null || bytes.length === 0 ? null : bytes;
}

function bytesOf(values: Int32Array | Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

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

const cBytes = (bytes: Uint8Array): Uint8Array => Buffer.concat([bytes, new Uint8Array(1)]);

function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

type NameCall = typeof libc.getsockname | typeof libc.getpeername;

function nameOf(call: NameCall, fd: Fd, into: Uint8Array): number {
  const length = Uint32Array.of(into.length);
  const r = result(call(fd, into, bytesOf(length)));
  return r < 0 ? r : length[0]!;
}

/** struct ifreq: char ifr_name[16], short ifr_flags, padded to 40 bytes. Reads, or writes when given `set`. */
function interfaceFlags(name: string, set?: number): number {
  const ifreq = new Uint8Array(40);
  new TextEncoder().encodeInto(name, ifreq.subarray(0, 15));
  const view = new DataView(ifreq.buffer);
  if (set !== undefined) view.setUint16(16, set, true);
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return fd;
  const r = ioctl(fd, set === undefined ? SIOCGIFFLAGS : SIOCSIFFLAGS, ifreq);
  close(fd);
  return r < 0 ? r : view.getUint16(16, true);
}
