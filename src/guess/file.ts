/** Saved offsets: written so that nothing else can be hit, read as if somebody else had written them. */

import { randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { lstat, open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Failure } from "../errors.ts";
import type { GuessReport, Kernel } from "./report.ts";
import { decodeReport, encodeReport } from "./file_format.ts";

/** A report is about 10 KB. Whatever is larger is something else. */
const LIMIT_BYTES = 1 << 20;

export async function saveOffsets(path: string, report: GuessReport): Promise<void> {
  await writePrivate(path, Buffer.from(encodeReport(report)));
}

export async function loadOffsets(path: string): Promise<GuessReport> {
  return decodeReport(path, await readBounded(path));
}

/** `null` when the report is of the running kernel, else why it is not. */
export function matchesKernel(report: GuessReport, running: Kernel): string | null {
  for (const name of ["release", "version", "machine"] as const) {
    if (report.kernel[name] === running[name]) continue;
    return `the file is of kernel ${name} "${report.kernel[name]}", running is "${running[name]}"`;
  }
  return null;
}

/**
 * Mode 0600, complete or not there at all. The name is replaced by a rename, so a link put in its place is never
 * followed, and a plain file that is there already is replaced as a whole.
 */
export async function writePrivate(path: string, bytes: Uint8Array): Promise<void> {
  const present = await lstat(path).catch(unless(path, "ENOENT"));
  if (present !== null && !present.isFile()) {
    throw new Failure(`${path}: will not be overwritten`, {
      why: `it is ${kindOf(present)}, not a regular file`,
      hint: "give --save the name of a file that does not exist yet",
    });
  }
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}`);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600).catch(
    fails(path),
  );
  try {
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true }).catch(() => {});
    throw fileFailure(path, error);
  }
}

async function readBounded(path: string): Promise<string> {
  // Looked at before it is opened, since opening a device can do something; and again once it is open, since it
  // may have been exchanged. O_NONBLOCK keeps the open of a FIFO from waiting for a writer.
  refuseOddFile(path, await stat(path).catch(fails(path)));
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(fails(path));
  try {
    refuseOddFile(path, await file.stat());
    return await readAll(path, file);
  } catch (error) {
    throw error instanceof Failure ? error : fileFailure(path, error);
  } finally {
    await file.close();
  }
}

async function readAll(path: string, file: FileHandle): Promise<string> {
  // One byte more than allowed, so that a file that grows meanwhile is noticed.
  const bytes = new Uint8Array(LIMIT_BYTES + 1);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  if (length > LIMIT_BYTES) throw tooLarge(path);
  return new TextDecoder().decode(bytes.subarray(0, length));
}

function refuseOddFile(path: string, stats: Stats): void {
  if (!stats.isFile()) {
    throw new Failure(`${path}: no offsets file`, {
      why: `it is ${kindOf(stats)}, not a regular file`,
      hint: "make one with: tracer-bpf offsets guess --save FILE",
    });
  }
  if (stats.size > LIMIT_BYTES) throw tooLarge(path);
}

function tooLarge(path: string): Failure {
  return new Failure(`${path}: no offsets file`, {
    why: `it is larger than ${LIMIT_BYTES} bytes`,
    hint: "make one with: tracer-bpf offsets guess --save FILE",
  });
}

function kindOf(stats: Stats): string {
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

function fileFailure(path: string, error: unknown): Failure {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return new Failure(`${path}: cannot be used`, { ...reasons[code], cause: error });
}

function fails(path: string): (error: unknown) => never {
  return (error) => {
    throw fileFailure(path, error);
  };
}

function unless(path: string, expected: string): (error: unknown) => null {
  return (error) => {
    if (error instanceof Error && "code" in error && error.code === expected) return null;
    throw fileFailure(path, error);
  };
}
