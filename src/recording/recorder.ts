/** Saves the events of a trace in a file while they are shown. */

import { write } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import type { ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import type { Failure } from "../errors.ts";
import { fileFailure } from "../file.ts";
import { Lines } from "../output/lines.ts";
import type { RecordedLines } from "../output/straight/index.ts";
import { Told, type Loss } from "../output/losses.ts";
import { createWriter, type WriteSome } from "../output/writer.ts";
import { isStillAt, openToAppend } from "./append.ts";
import { lineWriter, type Session } from "./format.ts";

/** Disposed of before its end, it leaves a session without one: what was taken is written all the same. */
export interface Recorder extends AsyncDisposable {
  take(events: readonly ConnEvent[], clocks: ClockPair): void;
  /** The place where somebody else may put the lines of the next events; `null`: the file is written no more. */
  into(clocks: ClockPair): RecordedLines | null;
  /** From now on the events that were taken are written. */
  handOn(): void;
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

/** A recorder whose file somebody may rename, so that a new one begins. */
export interface RotatedRecorder extends Recorder {
  /**
   * If the file is not at its path any more, ends the session in the file and begins a new session in a file at the path, by
   * the rules for any file to record to. Events meanwhile go to one of the two. Throws a Failure where the new file cannot be
   * had: the session goes on. `now` reads both clocks.
   */
  reopen(now: () => ClockPair): Promise<Reopened>;
}

export interface Reopened {
  /** false: the file is still at its path. */
  anew: boolean;
  /** The error that the end of the file before met; `null`: it is whole, or its error was known. */
  failure: Failure | null;
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
export async function openRecorder(path: string, beginning: Beginning): Promise<RotatedRecorder> {
  let file = await openToAppend(path);
  let current = recordTo(onFile(path, file), beginning);
  /** Sessions that are being ended, and reopenings. Each waits for the one before. */
  let underWay: Promise<unknown> = Promise.resolve();
  let over = false;

  async function reopen(now: () => ClockPair): Promise<Reopened> {
    if (over || (await isStillAt(path, file))) return { anew: false, failure: null };
    const fresh = await openToAppend(path);
    const before = current;
    const known = before.failure;
    const clocks = now();
    const session = { ...beginning, startNs: clocks.monoNs, clocks };
    // Events before this line are of the one session, those after it of the other.
    current = recordTo(onFile(path, fresh), session, { before });
    file = fresh;
    await before.finish(clocks);
    current.forgetBefore();
    return { anew: true, failure: known === null ? before.failure : null };
  }

  const settled = () => underWay.catch(() => {});
  return {
    take: (events, clocks) => current.take(events, clocks),
    into: (clocks) => current.into(clocks),
    handOn: () => current.handOn(),
    tell: (losses, atNs, clocks) => current.tell(losses, atNs, clocks),
    unsaved: () => current.unsaved(),
    get pending() {
      return current.pending;
    },
    get failure() {
      return current.failure;
    },
    reopen(now) {
      const reopened = settled().then(() => reopen(now));
      underWay = reopened;
      return reopened;
    },
    async end(atNs, clocks) {
      over = true;
      await settled();
      await current.end(atNs, clocks);
    },
    async [Symbol.asyncDispose]() {
      over = true;
      await settled();
      await current[Symbol.asyncDispose]();
    },
  };
}

const onFile = (path: string, file: FileHandle): RecorderFile => ({
  writeSome: (bytes) =>
    new Promise((resolve, reject) => {
      write(file.fd, bytes, 0, bytes.length, null, (error, count) =>
        error ? reject(error) : resolve(count),
      );
    }),
  failed: (error) => fileFailure(path, error),
  close: () => file.datasync().finally(() => file.close()),
});

/** A disk this far behind has stopped; about 80,000 events. */
const LIMIT_BYTES = 32 << 20;
/** So much is handed on at once. */
const HANDED_BYTES = 1 << 20;
/** Events that the file lacks. */
export const UNSAVED = "not recorded, the file could not be written";

/** A recorder of one session. */
export interface SessionRecorder extends Recorder {
  /** Losses that some session has told of. */
  readonly told: Told;
  /** The end of the session, where another one goes on: it tells of the losses. */
  finish(clocks: ClockPair): Promise<void>;
  /** The session before is over: its count is final. */
  forgetBefore(): void;
}

/** `before`: the session that this one follows. Its losses count on. */
export function recordTo(
  file: RecorderFile,
  { session, startNs, clocks: startClocks }: Beginning,
  options: { limitBytes?: number; before?: SessionRecorder } = {},
): SessionRecorder {
  const { limitBytes = LIMIT_BYTES } = options;
  let before: Pick<SessionRecorder, "unsaved" | "pending"> | null = options.before ?? null;
  const writer = createWriter(file.writeSome, limitBytes, file.failed);
  const format = lineWriter(startNs);
  const lines = new Lines();
  const told = options.before?.told ?? new Told();
  let refused = 0n;
  /** Lines of the session, but for its end. The next line has the number after it. */
  let written = 0;
  let closing: Failure | null = null;
  let closed = false;

  const handOn = (): void => {
    const { count } = lines;
    if (count === 0) return;
    const taken = writer.pushLines(lines);
    refused += BigInt(count - taken);
    // The writer refuses the last of them, so no number is left out.
    written += taken;
  };
  const aside = (line: (number: number) => string): boolean => {
    // Before it.
    handOn();
    const taken = writer.pushAside(line(written + 1));
    if (taken) written += 1;
    return taken;
  };
  const unsaved = (): Loss => {
    const failed = writer.failure === null ? 0 : writer.pending;
    const earlier = before?.unsaved().count ?? 0n;
    return { cause: UNSAVED, count: earlier + refused + BigInt(failed) };
  };
  const tell = (losses: readonly Loss[], atNs: bigint, clocks: ClockPair): void => {
    for (const { cause, count, total } of told.news([...losses, unsaved()])) {
      if (aside((number) => format.lost({ atNs, cause, count }, clocks, number)))
        told.tell({ cause, count, total });
    }
  };

  const finish = async (clocks: ClockPair): Promise<void> => {
    handOn();
    // Where there was no room before, there is now.
    await writer.settled();
    writer.pushAside(format.end(clocks, written + 1));
    await close();
  };

  const close = async (): Promise<void> => {
    handOn();
    await writer.settled();
    if (closed) return;
    closed = true;
    await file.close().catch((error: unknown) => void (closing = file.failed(error)));
  };

  aside((number) => format.session(session, startClocks, number));
  return {
    take(events, clocks) {
      if (writer.failure !== null) {
        refused += BigInt(events.length);
        return;
      }
      for (const event of events)
        format.appendEvent(lines, event, clocks, written + lines.count + 1);
      if (lines.used >= HANDED_BYTES) handOn();
    },
    into(clocks) {
      if (writer.failure !== null) return null;
      if (lines.used >= HANDED_BYTES) handOn();
      return { lines, number: written + lines.count + 1, tail: format.tailOf(clocks) };
    },
    handOn,
    tell,
    told,
    unsaved,
    finish,
    forgetBefore() {
      const final = before?.unsaved();
      before = final === undefined ? null : { unsaved: () => final, pending: 0 };
    },
    get pending() {
      const earlier = before?.pending ?? 0;
      return earlier + (writer.failure === null ? writer.pending : 0);
    },
    get failure() {
      return writer.failure ?? closing;
    },
    async end(atNs, clocks) {
      await writer.settled();
      tell([], atNs, clocks);
      await finish(clocks);
    },
    [Symbol.asyncDispose]: close,
  };
}
