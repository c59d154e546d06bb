/** A thread of this process that only says who it is, and ends. */
import { dlopen, FFIType, ptr, type Pointer } from "bun:ffi";

/** gettid(2). */
const SYS_GETTID = process.arch === "arm64" ? 178 : 186;

/**
 * Starts one and waits for its end: returns its id as this process's pid namespace numbers it, or -errno. It runs
 * nothing but libc's `syscall`, so the JavaScript runtime never learns of it.
 */
export function briefThread(): number {
  const thread = new BigUint64Array(1);
  const result = new BigInt64Array(1);
  const { pthread_create, pthread_join, syscall } = open();
  const failed =
    pthread_create(ptr(thread), null, syscall, SYS_GETTID as Pointer) ||
    pthread_join(thread[0]!, ptr(result));
  return failed ? -failed : Number(result[0]!);
}

// --- internal ---

type Library = ReturnType<typeof load>;
let library: Library | undefined;

/** Only when it is asked for: hardly anybody does. */
const open = (): Library => (library ??= load());

/** In glibc a library of its own until 2.34, and a name that opens after that; musl takes it for itself. */
function load() {
  const { symbols } = dlopen("libpthread.so.0", {
    pthread_create: {
      args: [FFIType.ptr, FFIType.ptr, FFIType.ptr, FFIType.ptr],
      returns: FFIType.i32,
    },
    pthread_join: { args: [FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
    syscall: { args: [FFIType.i64], returns: FFIType.i64 },
  });
  const { pthread_create, pthread_join } = symbols;
  return {
    pthread_create,
    pthread_join,
    syscall: (symbols.syscall as unknown as { ptr: Pointer }).ptr,
  };
}
