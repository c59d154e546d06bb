/**
 * System calls through libc. Each returns what the kernel does: a number >= 0, or -errno. None throws, none retries:
 * -EINTR and -EAGAIN are the caller's. A call that blocks blocks the whole event loop. To add one: its symbol in
 * libc/symbols.ts, and a typed function in the file of its kind. Every symbol exists since glibc 2.14.
 */
export * from "./libc/errno.ts";
export * from "./libc/files.ts";
export * from "./libc/interfaces.ts";
export * from "./libc/process.ts";
export * from "./libc/sockets.ts";
export type { Fd, Memory } from "./libc/symbols.ts";
