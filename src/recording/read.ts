/** Reads a recording piece by piece, however long it is. */

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

export async function openRecording(path: string): Promise<Recording> {
  const { file } = await openToRead(path, noRecording);
  const parser = new Parser(path);
  const chunk = new Uint8Array(CHUNK_BYTES);
  const readSome = () =>
    file.read(chunk, 0, chunk.length, null).catch((error: unknown) => {
      throw fileFailure(path, error);
    });
  return {
    damage: parser,
    async *lines() {
      for (;;) {
        const { bytesRead } = await readSome();
        if (bytesRead === 0) break;
        yield parser.push(chunk.subarray(0, bytesRead));
      }
      yield parser.end();
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}
