/** Threads of this process that run C alone, so the JavaScript runtime never learns of them. */
import { dlopen, FFIType, ptr, type Pointer } from "bun:ffi";

/** gettid(2). */
const SYS_GETTID = process.arch === "arm64" ? 178 : 186;

/** As pthread_create(3) gives it; to be joined. */
export type Thread = bigint & { readonly kind: "thread" };

/** Calls the C function `run` in a thread of its own. Returns it, or -errno. */
export function startThread(run: Pointer, argument: Pointer | null): Thread | number {
  const thread = new BigUint64Array(1);
  const failed = open().pthread_create(ptr(thread), null, run, argument);
  return failed ? -failed : (thread[0]! as Thread);
}

/** Blocks until it has ended, and returns what its function did. */
export function joinThread(thread: Thread): bigint {
  const result = new BigInt64Array(1);
  open().pthread_join(thread, ptr(result));
  return result[0]!;
}

/** Starts one that only says who it is: its id as this process's pid namespace numbers it, or -errno. */
export function briefThread(): number {
  const thread = startThread(open().syscall, SYS_GETTID as Pointer);
  return typeof thread === "number" ? thread : Number(joinThread(thread));
}

// --- internal ---

type Library = ReturnType<typeof load>;
let library: Library | undefined;

/** Only when it is asked for. */
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
