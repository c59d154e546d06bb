/** Files that a user names: written so that nothing else can be hit, opened as if somebody else had made them. */

import { constants, type Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Failure } from "./errors.ts";
import { promises } from "./later.ts";

/** The kind of file that was expected, and the way to get one. */
export interface Expected {
  /** "no offsets file" */
  what: string;
  hint: string;
}

/** Mode 0600, complete or not there at all, also after a crash of the host. */
export const writePrivate = (path: string, bytes: Uint8Array): Promise<void> =>
  replaceFile(path, bytes, {
    mode: 0o600,
    sync: true,
    hint: "give --save the name of a file that does not exist yet",
  });

export interface Replacing {
  mode: number;
  /** Whether to wait until the disk has it. */
  sync: boolean;
  /** The way out where the path is no regular file. */
  hint: string;
}

/**
 * Complete or not there at all. The name is replaced by a rename, so a link put in its place is never followed, and a
 * plain file that is there already is replaced as a whole.
 */
export async function replaceFile(
  path: string,
  bytes: Uint8Array,
  { mode, sync, hint }: Replacing,
): Promise<void> {
  const { lstat, open, rename, rm } = promises();
  const present = await lstat(path).catch(unless(path, "ENOENT"));
  if (present !== null && !present.isFile()) {
    throw new Failure(`${path}: will not be overwritten`, {
      why: `it is ${kindOf(present)}, not a regular file`,
      hint,
    });
  }
  // O_EXCL guards it, so that the name need not be a secret: those of `crypto` may have to wait for entropy.
  const unlikely = Math.random().toString(36).slice(2);
  const temporary = join(dirname(path), `.${basename(path)}.${unlikely}`);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  const file = await open(temporary, flags, mode).catch(fails(path));
  try {
    // The umask may have taken some of it away.
    await file.chmod(mode);
    await file.writeFile(bytes);
    if (sync) await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true }).catch(() => {});
    throw fileFailure(path, error);
  }
}

/**
 * Throws a Failure for whatever is no regular file. Looked at before it is opened, since opening a device can do
 * something; and again once it is open, since it may have been exchanged.
 */
export async function openToRead(
  path: string,
  expected: Expected,
): Promise<{ file: FileHandle; stats: Stats }> {
  const { open, stat } = promises();
  refuseOdd(path, await stat(path).catch(fails(path)), expected);
  // O_NONBLOCK keeps the open of a FIFO from waiting for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(fails(path));
  try {
    const stats = await file.stat();
    refuseOdd(path, stats, expected);
    return { file, stats };
  } catch (error) {
    await file.close();
    throw error instanceof Failure ? error : fileFailure(path, error);
  }
}

function refuseOdd(path: string, stats: Stats, { what, hint }: Expected): void {
  if (stats.isFile()) return;
  throw new Failure(`${path}: ${what}`, {
    why: `it is ${kindOf(stats)}, not a regular file`,
    hint,
  });
}

export function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return "a directory";
  if (stats.isSymbolicLink()) return "a symbolic link";
  if (stats.isFIFO()) return "a FIFO";
  if (stats.isSocket()) return "a socket";
  return "a device";
}

const reasons: Readonly<Record<string, { why: string; hint: string }>> = {
  ENOENT: { why: "there is no such file or directory", hint: "look at the spelling of the path" },
  EACCES: { why: "permission denied", hint: "run it as root, or choose another file" },
  EPERM: { why: "permission denied", hint: "run it as root, or choose another file" },
  EROFS: { why: "the file system is read-only", hint: "choose a file on another file system" },
  ENOSPC: { why: "no space is left", hint: "free some space, or choose another file system" },
  ENOTDIR: { why: "a part of its path is no directory", hint: "look at the spelling of the path" },
  ELOOP: { why: "its symbolic links go in a circle", hint: "give the file itself" },
  ENAMETOOLONG: { why: "the name is too long", hint: "choose a shorter one" },
};

export function fileFailure(path: string, error: unknown): Failure {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return new Failure(`${path}: cannot be used`, { ...reasons[code], cause: error });
}

export function fails(path: string): (error: unknown) => never {
  return (error) => {
    throw fileFailure(path, error);
  };
}

export function unless(path: string, expected: string): (error: unknown) => null {
  return (error) => {
    if (error instanceof Error && "code" in error && error.code === expected) return null;
    throw fileFailure(path, error);
  };
}
