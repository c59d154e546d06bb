/** Saved offsets: read as if somebody else had written them. */

import type { Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { Failure } from "../errors.ts";
import { fileFailure, openToRead, writePrivate } from "../file.ts";
import type { GuessReport, Kernel } from "./report.ts";
import { decodeReport, encodeReport } from "./file_format.ts";

/** A report is about 10 KB. A larger file is no report. */
const LIMIT_BYTES = 1 << 20;

export async function saveOffsets(path: string, report: GuessReport): Promise<void> {
  await writePrivate(path, Buffer.from(encodeReport(report)));
}

/** Of anybody's file: to look at. */
export async function readOffsets(path: string): Promise<GuessReport> {
  return decodeReport(path, await readBounded(path, () => {}));
}

/**
 * To trace by. Throws a Failure if anybody but root and this user could have written the file: with other offsets the
 * trace would show other memory of the kernel as numbers.
 */
export async function loadOffsets(path: string): Promise<GuessReport> {
  return decodeReport(path, await readBounded(path, refuseForeign));
}

/** `null` when the report is of the running kernel, else why it is not. */
export function matchesKernel(report: GuessReport, running: Kernel): string | null {
  for (const name of ["release", "version", "machine"] as const) {
    if (report.kernel[name] === running[name]) continue;
    return `the file is of kernel ${name} "${report.kernel[name]}", running is "${running[name]}"`;
  }
  return null;
}

// --- internal ---

const noFile = {
  what: "no offsets file",
  hint: "make one with: tracer-bpf offsets guess --save FILE",
};

type Refuse = (path: string, stats: Stats) => void;

async function readBounded(path: string, refuse: Refuse): Promise<string> {
  const { file, stats } = await openToRead(path, noFile);
  try {
    refuse(path, stats);
    refuseLarge(path, stats);
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

const ROOT = 0;
/** S_IWGRP, S_IWOTH. */
const WRITABLE_BY_OTHERS = 0o022;

function refuseForeign(path: string, { uid, mode }: Stats): void {
  const us = process.geteuid?.() ?? ROOT;
  const why =
    uid !== us && uid !== ROOT
      ? `it belongs to user ${uid}, and user ${us} runs this`
      : (mode & WRITABLE_BY_OTHERS) !== 0
        ? "other users may write to it"
        : null;
  if (why === null) return;
  throw new Failure(`${path}: offsets are not taken from it`, {
    why,
    hint: "make one of your own with: tracer-bpf offsets guess --save FILE",
  });
}

function refuseLarge(path: string, stats: Stats): void {
  if (stats.size > LIMIT_BYTES) throw tooLarge(path);
}

function tooLarge(path: string): Failure {
  return new Failure(`${path}: ${noFile.what}`, {
    why: `it is larger than ${LIMIT_BYTES} bytes`,
    hint: noFile.hint,
  });
}
