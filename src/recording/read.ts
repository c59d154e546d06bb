/** Reads a recording piece by piece, however long it is. */

import { read } from "node:fs";
import { fileFailure, openToRead } from "../file.ts";
import type { Line } from "./format.ts";
import { noRecording, Parser, type Damage } from "./parse.ts";

export interface Recording extends AsyncDisposable {
  /** The whole lines, as many at a time as come along. Throws a Failure: no recording, or a file that cannot be read. */
  lines(): AsyncGenerator<Line[]>;
  /** The damage that has been found so far. */
  readonly damage: Damage;
}

const CHUNK_BYTES = 256 << 10;

/** The name of `-` in messages. */
export const STDIN_NAME = "stdin";

/** `-` is stdin. `stop` ends the wait for its writer. */
export async function openRecording(path: string, stop?: AbortSignal): Promise<Recording> {
  const name = path === "-" ? STDIN_NAME : path;
  const source = path === "-" ? stdin(stop) : await regularFile(path);
  const parser = new Parser(name);
  const chunk = new Uint8Array(CHUNK_BYTES);
  const readSome = () =>
    source.read(chunk).catch((error: unknown) => {
      throw fileFailure(name, error);
    });
  return {
    damage: parser,
    async *lines() {
      for (;;) {
        const bytesRead = await readSome();
        if (stop?.aborted) return;
        if (bytesRead === 0) break;
        yield parser.push(chunk.subarray(0, bytesRead));
      }
      yield parser.end();
    },
    [Symbol.asyncDispose]: () => source.close(),
  };
}

// --- internal ---

interface Source {
  /** The number of bytes; 0: there are no more. */
  read(chunk: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

async function regularFile(path: string): Promise<Source> {
  const { file } = await openToRead(path, noRecording);
  return {
    read: async (chunk) => (await file.read(chunk, 0, chunk.length, null)).bytesRead,
    close: () => file.close(),
  };
}

const STDIN = 0;
/** How long to wait for a non-blocking stdin that is empty. */
const RETRY_MS = 10;

function stdin(stop: AbortSignal | undefined): Source {
  const stopped = new Promise<number>((resolve) =>
    stop?.addEventListener("abort", () => resolve(0), { once: true }),
  );
  return {
    read: (chunk) => Promise.race([stopped, readStdin(chunk)]),
    close: async () => {},
  };
}

/** On a thread of the runtime's pool, so that Ctrl-C is noticed while nothing comes. */
function readStdin(chunk: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    read(STDIN, chunk, 0, chunk.length, null, (error, count) => {
      if (error === null) resolve(count);
      else if (error.code !== "EAGAIN") reject(error);
      else void Bun.sleep(RETRY_MS).then(() => resolve(readStdin(chunk)));
    });
  });
}
