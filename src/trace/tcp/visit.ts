/** The looks of the tool at the descriptors of other processes. */
import { gettid } from "../../kernel/libc.ts";
import type { Opened, Pieces } from "../part.ts";

/** A close that must wait for the end of a read waits while at most so many records are written: see bpf/tcp/holders.h. */
export const RECORDS_PER_READ = 8;

/**
 * To be called with each such look. A look holds the file that it visits: if its process closes it in that moment, the
 * socket is closed by this thread, at the end of the system call that looks. The programs must not take the tool for the
 * closer then.
 */
export function visiting<T>({ host, object, tgid }: Opened, look: () => T): T {
  const set = (thread: bigint) =>
    host.shim.mapUpdate(object.mapFd("visitor"), new Uint32Array(1), BigUint64Array.of(thread));
  // In a pid namespace the number of this thread is not the kernel's: then it is any thread of the tool.
  set((BigInt(tgid) << 32n) | (tgid === process.pid ? BigInt(gettid()) : 0n));
  try {
    return look();
  } finally {
    set(0n);
  }
}

/** The same with a look in pieces: between two of them the tool looks at nothing. */
export function* visitingInPieces<T>(on: Opened, look: Pieces<T>): Pieces<T> {
  try {
    for (;;) {
      const { done, value } = visiting(on, () => look.next());
      if (done) return value;
      yield;
    }
  } finally {
    look.return(undefined as T);
  }
}
