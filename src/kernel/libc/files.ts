/** System calls on files and on any descriptor. */
import { POLLERR, POLLHUP, POLLIN, POLLOUT, TIOCGWINSZ } from "../constants.ts";
import { bytesOf, cString, libc, memory, result, type Fd, type Memory } from "./symbols.ts";

export const open = (path: string, flags: number, mode = 0o600): Fd =>
  result(libc.open(cString(path), flags, mode));

export const close = (fd: Fd): number => result(libc.close(fd));

export const read = (fd: Fd, into: Uint8Array): number =>
  result(libc.read(fd, memory(into), into.length));

export const write = (fd: Fd, data: Uint8Array): number =>
  result(libc.write(fd, memory(data), data.length));

/** Its lock goes with the last descriptor of the open file. `operation` is LOCK_*. */
export const flock = (fd: Fd, operation: number): number => result(libc.flock(fd, operation));

export const fcntl = (fd: Fd, command: number, argument: number): number =>
  result(libc.fcntl(fd, command, argument));

export const ioctl = (fd: Fd, request: number, argument: Memory): number =>
  result(libc.ioctl(fd, request, argument));

/** For the requests that store one int: SIOCINQ, SIOCOUTQ, SIOCATMARK. */
export function ioctlInt(fd: Fd, request: number): number {
  const value = new Int32Array(1);
  const r = ioctl(fd, request, bytesOf(value));
  return r < 0 ? r : value[0]!;
}

/** `null`: it is no terminal, or one that does not know its size. */
export function terminalSize(fd: Fd): { rows: number; columns: number } | null {
  // struct winsize: u16 rows, u16 columns, and both in pixels.
  const size = new Uint32Array(2);
  if (ioctl(fd, TIOCGWINSZ, bytesOf(size)) < 0) return null;
  const [rows, columns] = [size[0]! & 0xffff, size[0]! >>> 16];
  return rows === 0 || columns === 0 ? null : { rows, columns };
}

export const terminalColumns = (fd: Fd): number | null => terminalSize(fd)?.columns ?? null;

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

/** [read end, write end], or -errno. */
export function pipe2(flags: number): [Fd, Fd] | number {
  const fds = new Int32Array(2);
  const r = result(libc.pipe2(bytesOf(fds), flags));
  return r < 0 ? r : [fds[0]!, fds[1]!];
}

/** `offset` is a u64 that the kernel moves on; `null` uses and moves the file's own. */
export const sendfile = (out: Fd, from: Fd, offset: BigUint64Array | null, count: number): number =>
  result(libc.sendfile(out, from, offset && bytesOf(offset), count));

/** Between two descriptors of which at least one is a pipe, at their own positions. */
export const splice = (from: Fd, to: Fd, length: number, flags: number): number =>
  result(libc.splice(from, null, to, null, length, flags));

/** Fills `into` with an extended attribute and returns its length; -ENODATA: the file has none. */
export const getxattr = (path: string, name: string, into: Uint8Array): number =>
  result(libc.getxattr(cString(path), cString(name), into, into.length));

/** Fills `handle`, a struct file_handle that says how much room it has, with that of an absolute path. */
export const name_to_handle_at = (path: Uint8Array, handle: Uint8Array): number =>
  result(libc.name_to_handle_at(0, cBytes(path), handle, new Uint8Array(4), 0));

/** `mount` is any descriptor of the file system; `handle` a struct file_handle. */
export const open_by_handle_at = (mount: Fd, handle: Uint8Array, flags: number): Fd =>
  result(libc.open_by_handle_at(mount, handle, flags));

// --- internal ---

const cBytes = (bytes: Uint8Array): Uint8Array => Buffer.concat([bytes, new Uint8Array(1)]);
