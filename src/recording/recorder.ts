/** Saves the events of a trace in a file while they are shown. */

import { write } from "node:fs";
import type { ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import type { Failure } from "../errors.ts";
import { fileFailure } from "../file.ts";
import { Lines } from "../output/lines.ts";
import { Told, type Loss } from "../output/losses.ts";
import { createWriter, type WriteSome } from "../output/writer.ts";
import { openToAppend } from "./append.ts";
import { lineWriter, type Session } from "./format.ts";

/** Disposed of before its end, it leaves a session without one: what was taken is written all the same. */
export interface Recorder extends AsyncDisposable {
  take(events: readonly ConnEvent[], clocks: ClockPair): void;
  /** All that the trace lost so far; what is new of it becomes a line. */
  tell(losses: readonly Loss[], atNs: bigint, clocks: ClockPair): void;
  /** Events that were taken and are not going to be in the file, so far. */
  unsaved(): Loss;
  /** Events that are being written. */
  readonly pending: number;
  /** The error that made writing impossible: from then on events are only counted. */
  readonly failure: Failure | null;
  /** Writes what is left, and that this is all. */
  end(atNs: bigint, clocks: ClockPair): Promise<void>;
}

export interface RecorderFile {
  writeSome: WriteSome;
  failed(error: unknown): Failure;
  /** Throws what was not written for good. */
  close(): Promise<void>;
}

/** Where nothing was written yet: the session's first line is. */
export interface Beginning {
  session: Omit<Session, "format" | "version">;
  startNs: bigint;
  clocks: ClockPair;
}

/** Throws a Failure if the file cannot be had, or is not to be added to. */
export async function openRecorder(path: string, beginning: Beginning): Promise<Recorder> {
  const file = await openToAppend(path);
  return recordTo(
    {
      writeSome: (bytes) =>
        new Promise((resolve, reject) => {
          write(file.fd, bytes, 0, bytes.length, null, (error, count) =>
            error ? reject(error) : resolve(count),
          );
        }),
      failed: (error) => fileFailure(path, error),
      close: () => file.datasync().finally(() => file.close()),
    },
    beginning,
  );
}

/** A disk this far behind has stopped; about 80,000 events. */
const LIMIT_BYTES = 32 << 20;
/** Events that the file lacks. */
export const UNSAVED = "not recorded, the file could not be written";

export function recordTo(
  file: RecorderFile,
  { session, startNs, clocks: startClocks }: Beginning,
  limitBytes = LIMIT_BYTES,
): Recorder {
  const writer = createWriter(file.writeSome, limitBytes, file.failed);
  const format = lineWriter(startNs);
  const lines = new Lines();
  const told = new Told();
  let refused = 0n;
  /** Lines of the session, but for its end. The next line has the number after it. */
  let written = 0;
  let closing: Failure | null = null;
  let closed = false;

  const aside = (line: string): boolean => {
    const taken = writer.pushAside(line);
    if (taken) written += 1;
    return taken;
  };
  const unsaved = (): Loss => {
    const failed = writer.failure === null ? 0 : writer.pending;
    return { cause: UNSAVED, count: refused + BigInt(failed) };
  };
  const tell = (losses: readonly Loss[], atNs: bigint, clocks: ClockPair): void => {
    for (const { cause, count, total } of told.news([...losses, unsaved()])) {
      if (aside(format.lost({ atNs, cause, count }, clocks, written + 1)))
        told.tell({ cause, count, total });
    }
  };

  const close = async (): Promise<void> => {
    await writer.settled();
    if (closed) return;
    closed = true;
    await file.close().catch((error: unknown) => void (closing = file.failed(error)));
  };

  aside(format.session(session, startClocks, written + 1));
  return {
    take(events, clocks) {
      if (writer.failure !== null) {
        refused += BigInt(events.length);
        return;
      }
      let number = written;
      for (const event of events) format.appendEvent(lines, event, clocks, ++number);
      const taken = writer.pushLines(lines);
      refused += BigInt(events.length - taken);
      // The writer refuses the last of them, so no number is left out.
      written += taken;
    },
    tell,
    unsaved,
    get pending() {
      return writer.failure === null ? writer.pending : 0;
    },
    get failure() {
      return writer.failure ?? closing;
    },
    async end(atNs, clocks) {
      // Where there was no room before, there is now.
      await writer.settled();
      tell([], atNs, clocks);
      writer.pushAside(format.end(clocks, written + 1));
      await close();
    },
    [Symbol.asyncDispose]: close,
  };
}
