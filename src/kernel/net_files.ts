/**
 * The files of /proc/net as the calling thread's network namespace has them. Linux 4.17 up to 5.0 (RHEL 8's 4.18) keeps the
 * names of such files in its cache: after setns(2) the same path still leads to the file of the namespace before. The
 * directory of a thread that was started here leads to this one's.
 */
import { statSync } from "node:fs";
import { ownThread } from "./own_thread.ts";
import type { Shim, Stayer } from "./shim.ts";

export class NetFiles {
  readonly #shim: Pick<Shim, "stay">;
  readonly #inodeOf: (path: string) => number | null;
  /** In which namespace each file was seen, by its inode number: no two have one in common. */
  readonly #seen = new Map<number, number>();

  constructor(shim: Pick<Shim, "stay">, inodeOf = inodeOfFile) {
    this.#shim = shim;
    this.#inodeOf = inodeOf;
  }

  /**
   * Calls `work` with a function that gives the path of a file of `netns`, in which the calling thread is. It returns null
   * if there is no such file, as tcp6 without IPv6. Returns null where the files of this namespace cannot be reached.
   */
  within<T>(netns: number, work: (pathOf: PathOf) => T): T | null {
    let stayer: Stayer | null = null;
    const pathOf: PathOf = (file) => {
      const path = `${ownThread()}/net/${file}`;
      const inode = this.#inodeOf(path);
      if (inode === null) return null;
      const seenIn = this.#seen.get(inode) ?? netns;
      this.#seen.set(inode, seenIn);
      if (seenIn === netns) return path;
      stayer ??= this.#shim.stay();
      if (stayer === null) throw new Unreachable();
      return `/proc/self/task/${stayer.tid}/net/${file}`;
    };
    try {
      return work(pathOf);
    } catch (error) {
      if (error instanceof Unreachable) return null;
      throw error;
    } finally {
      (stayer as Stayer | null)?.[Symbol.dispose]();
    }
  }
}

export type PathOf = (file: string) => string | null;

// --- internal ---

class Unreachable extends Error {}

const inodeOfFile = (path: string): number | null =>
  statSync(path, { throwIfNoEntry: false })?.ino ?? null;
