/** `trace --output-file FILE`: the lines go to a file, which somebody may rename. */
import { writeSync } from "node:fs";
import { Failure } from "../errors.ts";
import { fileFailure } from "../file.ts";
import { log } from "../log.ts";
import { createWriter, type LineWriter } from "../output/writer.ts";
import { isStillAt, openOwnFile } from "../recording/append.ts";
import { namedFile } from "./flags.ts";

const FLAG = "output-file";

export const lineFileFlag = {
  type: "string",
  valueHint: "FILE",
  description:
    "append the lines to FILE instead of writing them to stdout; SIGHUP opens a renamed FILE anew",
} as const;

/** Checked before anything is opened; `null`: lines go to stdout. */
export function lineFile(file: string | undefined, command: string): string | null {
  if (file === undefined) return null;
  return namedFile(file, { flag: FLAG, command, instead: `leave out --${FLAG}` });
}

export interface LineFile extends AsyncDisposable {
  readonly writer: LineWriter;
  /** Nothing was in it: a table begins with its header. */
  readonly isEmpty: boolean;
  /** If the file is not at its path any more, goes on in a file at the path, which begins with the header. Says what came of it. */
  reopen(header: string | null): Promise<void>;
}

/** Throws a Failure if the file cannot be had. */
export async function openLineFile(path: string): Promise<LineFile> {
  let { file, size } = await openOwnFile(path, FLAG);
  // A file never stands still.
  const writer = createWriter(
    (bytes) => writeSync(file.fd, bytes),
    Infinity,
    (error) => fileFailure(path, error),
  );

  async function reopen(header: string | null): Promise<void> {
    if (await isStillAt(path, file))
      return log.info(`${path}: it was not renamed, so the lines go on in it`);
    const fresh = await openOwnFile(path, FLAG);
    // No line is in two files.
    await writer.settled();
    const before = file;
    ({ file, size } = fresh);
    if (size === 0 && header !== null) writer.pushAside(header);
    await before.close();
    log.info(`${path}: opened anew`);
  }

  let underWay = Promise.resolve();
  return {
    writer,
    isEmpty: size === 0,
    reopen(header) {
      underWay = underWay.then(() => reopen(header).catch((error: unknown) => tell(error)));
      return underWay;
    },
    async [Symbol.asyncDispose]() {
      await underWay;
      await writer.settled();
      await file.close();
    },
  };
}

// --- internal ---

function tell(error: unknown): void {
  if (!(error instanceof Failure)) throw error;
  log.warn(`${error.message}: ${error.why}; the lines go on in the file that was open`);
}
