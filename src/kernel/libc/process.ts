/** System calls about this process, its threads and its host. */
import type { Pointer } from "bun:ffi";
import { bytesOf, libc, result, type Fd } from "./symbols.ts";

/** Moves only the calling thread: threads that the runtime started before stay where they are. */
export const unshare = (flags: number): number => result(libc.unshare(flags));
export const setns = (fd: Fd, type: number): number => result(libc.setns(fd, type));

export const getpid = (): number => libc.getpid();
export const getpagesize = (): number => libc.getpagesize();

/** The thread the kernel sees; equals getpid() on the main thread. glibc has a wrapper only since 2.30. */
export const gettid = (): number => result(libc.syscall(arm64 ? 178 : 186, 0, null, 0));

/** kcmp(2): whether both threads have one table of descriptors. Also true where the kernel does not tell. */
export const haveSameFiles = (tid: number, other: number): boolean =>
  result(libc.syscall(arm64 ? 272 : 312, tid, other as Pointer, KCMP_FILES)) <= 0;

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

// --- internal ---

/** For the calls that libc has no wrapper for: their numbers are the architecture's own. */
const arm64 = process.arch === "arm64";

/** Of enum kcmp_type. */
const KCMP_FILES = 2;
