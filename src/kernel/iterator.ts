/** BPF iterators: a program of the kernel's walks over all things of a kind, and writes a record for each that it tells of. */
import type { Shim } from "./shim.ts";
import { EAGAIN } from "./constants.ts";
import { close, read } from "./libc.ts";

/** Records per read: the kernel's buffer is 32 KiB. */
const buffer = new Uint8Array(1 << 16);
const view = new DataView(buffer.buffer);

/**
 * Calls `each` with the place of every record of `size` bytes in a buffer that the next read overwrites, and `between` after
 * each read; neither may read another iterator. Returns whether the walk came to its end. Throws a KernelError where it
 * cannot begin.
 */
export function eachRecord(
  shim: Shim,
  progFd: number,
  size: number,
  each: (view: DataView, at: number) => void,
  between: () => void = () => {},
): boolean {
  const fd = shim.iterator(progFd);
  try {
    for (;;) {
      const bytes = read(fd, buffer);
      if (bytes === -EAGAIN) continue; // a million things without a record
      if (bytes <= 0) return bytes === 0;
      for (let at = 0; at + size <= bytes; at += size) each(view, at);
      between();
    }
  } finally {
    close(fd);
  }
}
