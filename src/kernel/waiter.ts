/**
 * Waiting for the rings without blocking the event loop: a thread of the shim looks at them (shim/waiter.c), and one byte
 * through a pair of sockets says that the wait is over.
 */
import type { Readable } from "node:stream";
import { stream } from "../later.ts";
import { waitRequestSize, writeWaitRequest } from "../record/layout.gen.ts";
import { close, write } from "./libc.ts";
import type { PerfRings, Shim } from "./shim.ts";
import { joinThread } from "./threads.ts";

export interface Waiter extends Disposable {
  /**
   * Resolves after `leastMs`, and not before there is something to drain, nobody reads any more what is written to
   * `readerFd`, or `mostMs` are over. One wait at a time. Does not keep the process alive.
   */
  wait(leastMs: number, mostMs: number, readerFd?: number): Promise<void>;
}

/** Disposed of before the rings are closed, which the thread looks at. */
export function openWaiter(shim: Shim, rings: PerfRings): Waiter {
  /** Not before somebody has to look; null: there can be none. */
  let thread: RingThread | null | undefined;
  let disposed = false;
  return {
    async wait(leastMs, mostMs, readerFd = NOBODY) {
      if (disposed || (thread === undefined && mostMs <= leastMs)) return pause(leastMs);
      thread ??= thread === null ? null : startRingThread(shim, rings);
      await (thread === null ? pause(leastMs) : thread.wait(leastMs, mostMs, readerFd));
    },
    [Symbol.dispose]() {
      disposed = true;
      thread?.[Symbol.dispose]();
      thread = null;
    },
  };
}

// --- internal ---

const NOBODY = -1;

/** How often the thread looks, while it has to: what is in the rings is noticed so soon. */
const lookMs = (leastMs: number): number => Math.min(100, Math.max(10, leastMs));

type RingThread = Waiter;

/** null: no further thread may be started, and the rings are to be looked at as often as may be. */
function startRingThread(shim: Shim, rings: PerfRings): RingThread | null {
  const { waiter, loopEnd } = shim.waiterOpen(rings);
  const request = new Uint8Array(waitRequestSize);
  const view = new DataView(request.buffer);
  let over: (() => void) | null = null;
  const answered = (): void => {
    over?.();
    over = null;
  };
  const answers = watch(loopEnd, answered);
  const thread = shim.waiterThread(waiter);
  const closeAll = (): void => {
    answers.destroy();
    close(loopEnd);
    shim.waiterClose(waiter);
  };
  if (typeof thread === "number") {
    closeAll();
    return null;
  }
  return {
    async wait(leastMs, mostMs, readerFd = NOBODY) {
      const [least, most] = [Math.ceil(leastMs), Math.ceil(mostMs)];
      writeWaitRequest(view, 0, {
        least_ms: least,
        most_ms: most,
        look_ms: lookMs(least),
        reader_fd: readerFd,
      });
      const answer = new Promise<void>((resolve) => (over = resolve));
      write(loopEnd, request);
      await answer;
    },
    [Symbol.dispose]() {
      shim.waiterStop(waiter);
      joinThread(thread);
      closeAll();
      answered();
    },
  };
}

/**
 * Calls `heard` for what comes; does not keep the process alive. No socket of Bun's: as long as there is one, it has timers
 * that wake the event loop each second.
 */
function watch(fd: number, heard: () => void): Readable {
  const bytes = Bun.file(fd).stream() as import("node:stream/web").ReadableStream;
  return stream().Readable.fromWeb(bytes).on("data", heard);
}

/** Like a wait, it does not keep the process alive. */
const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, ms).unref());
