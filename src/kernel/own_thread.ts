/** The calling thread in /proc. */
import { existsSync } from "node:fs";
import { gettid } from "./libc.ts";

/** A file of the calling thread, as in `ns/net`: /proc/self would be the first thread's. */
export const ofOwnThread = (file: string): string => `${ownThread()}/${file}`;

/**
 * The calling thread's directory. Before 3.17 there is no thread-self, and the thread's id finds it; where /proc is of
 * another pid namespace that id means nothing there, and the first thread has to stand for it.
 */
export function ownThread(exists: (path: string) => boolean = existsSync): string {
  const candidates = ["/proc/thread-self", `/proc/self/task/${gettid()}`];
  return candidates.find((path) => exists(path)) ?? "/proc/self";
}
