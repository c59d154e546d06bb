/** BPF iterators: a program of the kernel's walks over all things of a kind, and writes a record for each that it tells of. */
import type { Shim } from "./shim.ts";
import { EAGAIN } from "./constants.ts";
import { close, read } from "./libc.ts";

/** As large as the kernel's own. */
const buffer = new Uint8Array(1 << 15);
const view = new DataView(buffer.buffer);

/**
 * Calls `each` with the place of every record of `size` bytes in a buffer that the next read overwrites; `each` may not read
 * another iterator. A read ends after `atOnce` records. Returns whether the walk came to its end. Throws a KernelError where
 * it cannot begin.
 */
export function eachRecord(
  shim: Shim,
  progFd: number,
  size: number,
  each: (view: DataView, at: number) => void,
  atOnce = Infinity,
): boolean {
  const walk = eachRecordInPieces(shim, progFd, size, each, atOnce);
  for (;;) {
    const { done, value } = walk.next();
    if (done) return value;
  }
}

/** The same in pieces, each of as many records as fill the buffer. Between two pieces another iterator may be read. */
export function* eachRecordInPieces(
  shim: Shim,
  progFd: number,
  size: number,
  each: (view: DataView, at: number) => void,
  atOnce = Infinity,
): Generator<void, boolean> {
  const fd = shim.iterator(progFd);
  const room = buffer.subarray(0, Math.min(buffer.length, atOnce * size));
  let done = 0;
  try {
    for (;;) {
      const bytes = read(fd, room);
      if (bytes === -EAGAIN) continue; // a million things without a record
      if (bytes <= 0) return bytes === 0;
      for (let at = 0; at + size <= bytes; at += size) each(view, at);
      done += bytes;
      if (done + room.length < buffer.length) continue;
      yield;
      done = 0;
    }
  } finally {
    close(fd);
  }
}
