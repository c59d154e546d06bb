/**
 * The only place that writes to stdout. Lines are handed over at once and written behind, because a reader that
 * stands still (a pager, a stopped terminal) must not stop the tracer from draining the kernel's buffers.
 */

import { fstatSync, readFileSync, write, writeSync } from "node:fs";
import { Failure } from "../errors.ts";
import { O_CLOEXEC } from "../kernel/constants.ts";
import { Lines, type Taken } from "./lines.ts";

export interface LineWriter {
  /** Takes the lines of one drain; returns how many it took: the rest is dropped and counted. */
  push(lines: readonly string[]): number;
  /** The same with lines that are bytes already; none are left in `lines`. */
  pushLines(lines: Lines): number;
  /**
   * Lines were dropped, and nothing was written since: the next ones would be dropped as well, so they need not be made. They
   * are to be given to `drop` instead.
   */
  readonly full: boolean;
  /** Counts an event as dropped of which no line was made, because the writer is full. */
  drop(): void;
  /** A line that is no event: neither dropped nor pending counts it. false: it was not taken. */
  pushAside(line: string): boolean;
  /** Resolves when nothing is pending any more, or nobody will take it. */
  settled(): Promise<void>;
  /** Lines refused because the reader fell too far behind. */
  readonly dropped: bigint;
  /** Lines taken that are not known to be written. */
  readonly pending: number;
  /** The reader is gone (`trace | head`): no error, but no reason to go on. */
  readonly closed: boolean;
  /** The error that made writing impossible, for instance a full disk. */
  readonly failure: Failure | null;
}

/** Writes some of the bytes and says how many, at once or later; fails with an error that has a `code`. */
export type WriteSome = (bytes: Uint8Array) => number | Promise<number>;

/**
 * A reader this far behind has stopped reading; about 100,000 events. The content of all rings fits, which comes at once
 * after the tracer itself stood still: no reader can take anything while the rings are drained.
 */
const LIMIT_BYTES = 32 << 20;
/** How long to wait for a non-blocking stdout that is full. */
const RETRY_MS = 10;
/** The size of a pipe. A write that blocks tells only at its end how much it delivered, so a larger write would tell less. */
const CHUNK_BYTES = 64 << 10;
const LINE_FEED = 10;

/** Throws a Failure where stdout is closed. */
export function createWriter(
  writeSome: WriteSome = wayToStdout(),
  limitBytes = writeSome === toFile ? Infinity : LIMIT_BYTES,
  failed: (error: unknown) => Failure = cannotWrite,
): LineWriter {
  const queued: Piece[] = [];
  const own = new Lines();
  let queuedBytes = 0;
  let inFlight: Pick<Piece, "bytes" | "count"> = { bytes: new Uint8Array(), count: 0 };
  let running: Promise<void> | null = null;
  /** Between the beginning and the end of run(). */
  let busy = false;
  const state = { dropped: 0n, full: false, closed: false, failure: null as Failure | null };

  function push(lines: readonly string[]): number {
    for (const line of lines) own.line(line);
    return pushLines(own);
  }

  function pushLines(lines: Lines): number {
    const { count } = lines;
    if (count === 0) return 0;
    const ended = state.closed || state.failure !== null;
    const { bytes, done } = lines.take(running !== null && !ended && queuedBytes < limitBytes);
    const fitting = ended ? 0 : fittingBytes(bytes, limitBytes - queuedBytes);
    const taken = fitting === bytes.length ? count : countLines(bytes.subarray(0, fitting));
    if (taken === 0) done();
    else queued.push({ bytes: bytes.subarray(0, fitting), done, count: taken });
    if (!ended) {
      state.dropped += BigInt(count - taken);
      state.full = taken < count && queuedBytes + fitting > 0;
    }
    queuedBytes += fitting;
    if (taken > 0) start();
    return taken;
  }

  function pushAside(line: string): boolean {
    const bytes = Buffer.from(`${line}\n`);
    if (state.closed || state.failure !== null || queuedBytes + bytes.length > limitBytes)
      return false;
    queued.push({ bytes, done() {}, count: 0 });
    queuedBytes += bytes.length;
    start();
    return true;
  }

  function start(): void {
    if (running !== null) return;
    busy = true;
    const ran = run();
    // Else all is written already.
    if (busy) running = ran;
  }

  async function run(): Promise<void> {
    try {
      for (let next = queued.shift(); next !== undefined; next = queued.shift()) {
        inFlight = { bytes: next.bytes, count: next.count };
        while (inFlight.bytes.length > 0) {
          const some = writeOnce(inFlight.bytes, writeSome);
          const written = typeof some === "number" ? some : await some;
          queuedBytes -= written;
          if (written > 0) state.full = false;
          inFlight.bytes = inFlight.bytes.subarray(written);
        }
        next.done();
      }
    } catch (error) {
      state.full = false;
      if (codeOf(error) === "EPIPE") state.closed = true;
      else state.failure = failed(error);
    } finally {
      // Here and not in a then(): lines pushed between the two would wait for ever.
      running = null;
      busy = false;
    }
  }

  return {
    push,
    pushLines,
    pushAside,
    drop() {
      state.dropped++;
    },
    get full() {
      return state.full;
    },
    settled: async () => {
      while (running !== null) await running;
    },
    get dropped() {
      return state.dropped;
    },
    get pending() {
      const begun = inFlight.count === 0 ? 0 : countLines(inFlight.bytes);
      return queued.reduce((sum, { count }) => sum + count, begun);
    },
    get closed() {
      return state.closed;
    },
    get failure() {
      return state.failure;
    },
  };
}

/** Lines that are written in one go. */
interface Piece extends Taken {
  /** How many of them are events. */
  count: number;
}

/** For output that is one piece (help, tables). A reader that went away early is no failure. */
export async function print(text: string): Promise<void> {
  refuseClosed();
  const bytes = Buffer.from(text);
  try {
    for (let at = 0; at < bytes.length;) at += await writeOnce(bytes.subarray(at), toPipe);
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw cannotWrite(error);
  }
}

/** For the terminal, where there is no time left to wait: what it does not take at once is not written. */
export function printNow(text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at);
  } catch {
    // Nobody is there to see it.
  }
}

function writeOnce(bytes: Uint8Array, writeSome: WriteSome): number | Promise<number> {
  try {
    const some = writeSome(bytes.subarray(0, writeSome === toFile ? undefined : CHUNK_BYTES));
    return typeof some === "number" ? some : some.catch(later);
  } catch (error) {
    return later(error);
  }
}

/** After a wait: a full pipe that does not block has taken 0 bytes. */
async function later(error: unknown): Promise<number> {
  if (codeOf(error) !== "EAGAIN") throw error;
  await Bun.sleep(RETRY_MS);
  return 0;
}

/** How much of these lines, in whole ones, has room. */
function fittingBytes(bytes: Uint8Array, room: number): number {
  if (bytes.length <= room) return bytes.length;
  return room < 1 ? 0 : bytes.lastIndexOf(LINE_FEED, room - 1) + 1;
}

/** Of a megabyte at each poll, behind a reader that stands still. */
function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}

function wayToStdout(): WriteSome {
  refuseClosed();
  return stdoutTakesAll() ? toFile : toPipe;
}

/**
 * Where stdout was closed, the runtime has put /dev/null in its place, so that every write would go well. It is told by
 * the mark of what a process has opened itself (exec(2) closes what has it) from a /dev/null that somebody wanted.
 */
function refuseClosed(): void {
  const flags = /^flags:\s*([0-7]+)/m.exec(descriptorText(1))?.[1];
  if (flags === undefined || (parseInt(flags, 8) & O_CLOEXEC) === 0) return;
  throw new Failure("stdout: cannot write the output", {
    why: "it was closed when this command was started, so everything would go nowhere",
    hint: "give it an open stdout; > /dev/null if the output is not wanted",
  });
}

function descriptorText(fd: number): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
  } catch {
    return "";
  }
}

/** /dev/null. */
const NULL_DEVICE = 0x103;

/** A file, or what is nothing. */
function stdoutTakesAll(): boolean {
  try {
    const stat = fstatSync(1);
    return stat.isFile() || (stat.isCharacterDevice() && stat.rdev === NULL_DEVICE);
  } catch {
    // Closed: the first write will say so.
    return false;
  }
}

/** A file never stands still, and a way to another thread and back costs more than the write. */
const toFile = (bytes: Uint8Array): number => writeSync(1, bytes);

/** On a thread of the runtime's pool: a write that blocks leaves this one free to poll and to notice Ctrl-C. */
function toPipe(bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(1, bytes, 0, bytes.length, null, (error, count) =>
      error ? reject(error) : resolve(count),
    );
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

const hints: Readonly<Record<string, string>> = {
  ENOSPC: "free some space, or write to another file system",
  EIO: "the terminal or disk behind stdout is gone; write to another one",
  EBADF: "give it an open stdout",
};

function cannotWrite(error: unknown): Failure {
  const code = codeOf(error);
  return new Failure("stdout: cannot write the output", { cause: error, hint: hints[code] });
}
