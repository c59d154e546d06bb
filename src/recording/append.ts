/** Opens a file so that lines can be written behind what it holds: nothing else is hit, nothing is overwritten. */

import { constants, type Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { Failure } from "../errors.ts";
import { fails, fileFailure, kindOf, unless } from "../file.ts";
import { EAGAIN, LOCK_EX, LOCK_NB } from "../kernel/constants.ts";
import { flock } from "../kernel/libc.ts";
import { promises } from "../later.ts";
import { Parser } from "./parse.ts";

/** Throws a Failure also for a file that holds something else than a recording of our version. */
export async function openToAppend(path: string): Promise<FileHandle> {
  const rules = { hint: OTHER_RECORDING, continues: isRecording };
  const { file } = await openOwnFile(path, "record", rules);
  return file;
}

export interface OwnFile {
  file: FileHandle;
  /** As it was found. */
  size: number;
}

interface Rules {
  /** The way out where the file will not be written to. */
  hint: string;
  /** Throws a Failure for what is not to be added to. */
  continues(path: string, file: FileHandle, size: number): Promise<void>;
}

/**
 * Mode 0600 if it is new or empty. Throws a Failure for what is no regular file of ours alone, and for a file that somebody
 * else writes to. A last line that was cut off is ended.
 */
export async function openOwnFile(
  path: string,
  flag: string,
  { hint, continues }: Rules = {
    hint: `give --${flag} the name of a file that does not exist yet, or of one of yours`,
    continues: async () => {},
  },
): Promise<OwnFile> {
  const { lstat, open } = promises();
  const present = await lstat(path).catch(unless(path, "ENOENT"));
  if (present !== null) refuse(path, present, hint);
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  const file = await open(path, flags, 0o600).catch(fails(path));
  try {
    const stats = await file.stat();
    // It may have been exchanged.
    refuse(path, stats, hint);
    // A file system that knows no locks gives another error.
    if (flock(file.fd, LOCK_EX | LOCK_NB) === -EAGAIN) throw isInUse(path, flag);
    if (stats.size === 0) await file.chmod(0o600);
    else {
      await continues(path, file, stats.size);
      await endLine(file, stats.size);
    }
    return { file, size: stats.size };
  } catch (error) {
    await file.close();
    throw error instanceof Failure ? error : fileFailure(path, error);
  }
}

/** Whether the path leads to this open file, and not to another one or to none. */
export async function isStillAt(path: string, file: FileHandle): Promise<boolean> {
  const present = await promises().lstat(path).catch(unless(path, "ENOENT"));
  const { dev, ino } = await file.stat();
  return present?.ino === ino && present.dev === dev;
}

// --- internal ---

const OTHER_RECORDING =
  "give --record the name of a file that does not exist yet, or of a recording of yours";

/** A user who may write into a folder can put a file or a link of his own there. */
function refuse(path: string, stats: Stats, hint: string): void {
  const us = process.geteuid?.();
  const why = !stats.isFile()
    ? `it is ${kindOf(stats)}, not a regular file`
    : stats.uid !== us
      ? `it belongs to user ${stats.uid}, and user ${us} runs this`
      : stats.nlink > 1
        ? "the same file has a second name (a hard link)"
        : null;
  if (why === null) return;
  throw new Failure(`${path}: will not be written to`, {
    why,
    hint,
  });
}

const isInUse = (path: string, flag: string): Failure =>
  new Failure(`${path}: will not be written to`, {
    why: "another tracer-bpf is writing to it",
    hint: `give --${flag} another name`,
  });

const HEAD_BYTES = 256 << 10;
const LINE_FEED = 10;

/** Throws a Failure if it is of another version, or clearly something else. */
async function isRecording(path: string, file: FileHandle, size: number): Promise<void> {
  const head = new Uint8Array(Math.min(size, HEAD_BYTES));
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  const parser = new Parser(path);
  try {
    const lines = parser.push(head.subarray(0, bytesRead));
    if (lines.length === 0) parser.end();
  } catch (error) {
    // The advice to a reader is none to a writer.
    const why = error instanceof Failure ? error.why : null;
    throw why === null
      ? error
      : new Failure(`${path}: will not be written to`, { why, hint: OTHER_RECORDING });
  }
}

/** A line that was cut off stays a line of its own. */
async function endLine(file: FileHandle, size: number): Promise<void> {
  const last = new Uint8Array(1);
  await file.read(last, 0, 1, size - 1);
  if (last[0] !== LINE_FEED) await file.write("\n");
}
