import { dlopen, type FFIFunction, type Library } from "bun:ffi";
import { readFileSync, writeSync } from "node:fs";
import { UnsupportedError } from "../errors.ts";
import { tooFewDescriptors } from "../explain.ts";

const MFD_CLOEXEC = 1;

/**
 * Loads a library from memory: Bun would extract an embedded one to TMPDIR, leave it there, and
 * fail where that is mounted noexec or missing. Its way is kept for hosts without memfd_create
 * (before 3.17), without /proc, or with vm.memfd_noexec=2. Throws an UnsupportedError where both are in vain.
 */
export function dlopenFromMemory<T extends Record<string, FFIFunction>>(
  path: string,
  symbols: T,
): Library<T> {
  try {
    return fromMemfd(path, symbols);
  } catch (inMemory) {
    try {
      return dlopen(path, symbols);
    } catch (onDisk) {
      if (isTooFewDescriptors(inMemory) || isTooFewDescriptors(onDisk))
        throw tooFewDescriptors("the native library", "EMFILE");
      throw new UnsupportedError("a place to load the native library from", {
        why: `memory: ${messageOf(inMemory)}; a file in TMPDIR: ${messageOf(onDisk)}`,
        hint: "TMPDIR=DIRECTORY, one that is writable and not mounted noexec; or sysctl vm.memfd_noexec=1, and no limit by ulimit -f",
        cause: inMemory,
      });
    }
  }
}

function fromMemfd<T extends Record<string, FFIFunction>>(path: string, symbols: T): Library<T> {
  const libc = dlopen("libc.so.6", {
    memfd_create: { args: ["cstring", "u32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  });
  const fd = libc.symbols.memfd_create(Buffer.from("tracer-bpf-shim\0"), MFD_CLOEXEC);
  if (fd < 0) throw new Error("memfd_create failed");
  try {
    const image = readFileSync(path);
    for (let at = 0; at < image.length;) at += writeSync(fd, image, at);
    return dlopen(`/proc/self/fd/${fd}`, symbols);
  } finally {
    libc.symbols.close(fd);
  }
}

/** The runtime's own words, or libc's behind them. */
const isTooFewDescriptors = (error: unknown): boolean =>
  /EMFILE|ENFILE|Too many open files/.test(messageOf(error));

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
