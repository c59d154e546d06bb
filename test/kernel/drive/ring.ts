/** Descriptors that io_uring holds (fixed files). */
import { dlopen, FFIType, ptr } from "bun:ffi";
import * as libc from "../../../src/kernel/libc.ts";
import { check } from "./peer.ts";

/** Closes these descriptors while a ring of io_uring holds them, and then the ring: a worker of the kernel closes the sockets. */
export function loseInRing(fds: readonly number[]): void {
  const parameters = new Uint8Array(IO_URING_PARAMS);
  const ring = call(IO_URING_SETUP, 1n, BigInt(ptr(parameters)), 0n, 0n);
  const files = Int32Array.from(fds);
  call(
    IO_URING_REGISTER,
    BigInt(ring),
    IORING_REGISTER_FILES,
    BigInt(ptr(files)),
    BigInt(fds.length),
  );
  for (const fd of [...fds, ring]) check(libc.close(fd), "close");
}

// --- internal ---

/** The same on all architectures. */
const [IO_URING_SETUP, IO_URING_REGISTER] = [425n, 427n];
const IORING_REGISTER_FILES = 2n;
/** Bytes of struct io_uring_params. */
const IO_URING_PARAMS = 120;

const { symbols } = dlopen("libc.so.6", {
  syscall: {
    args: [FFIType.i64, FFIType.i64, FFIType.u64, FFIType.u64, FFIType.u64],
    returns: FFIType.i64_fast,
  },
});

function call(number: bigint, ...args: [bigint, bigint, bigint, bigint]): number {
  const result = Number(symbols.syscall(number, ...args));
  if (result < 0) throw new Error(`io_uring: system call ${number} failed`);
  return result;
}
