/**
 * Waiting for the rings without blocking the event loop: a thread of the shim looks at them (shim/waiter.c), and one byte
 * through a pair of sockets says that the wait is over.
 */
import { waitRequestSize, writeWaitRequest } from "../record/layout.gen.ts";
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
      if (mostMs <= leastMs || disposed) return pause(leastMs);
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

/**
 * How often the thread looks: what is in the rings is noticed so soon. Where nothing has happened for a whole wait it looks
 * a little less often, which makes up for the runtime: its event loop, now free, wakes up each second to collect garbage.
 */
const lookMs = (leastMs: number, quiet: boolean): number =>
  Math.min(100, Math.max(10, leastMs)) * (quiet ? 1.3 : 1);

type RingThread = Waiter;

/** null: no further thread may be started, and the rings are to be looked at as often as may be. */
function startRingThread(shim: Shim, rings: PerfRings): RingThread | null {
  const { waiter, loopEnd } = shim.waiterOpen(rings);
  const request = new Uint8Array(waitRequestSize);
  const view = new DataView(request.buffer);
  let over: (() => void) | null = null;
  let quiet = false;
  const answered = (): void => {
    over?.();
    over = null;
  };
  const socket = watchSocket(loopEnd, answered);
  const thread = shim.waiterThread(waiter);
  const close = (): void => {
    void socket.then((one) => one.terminate());
    shim.waiterClose(waiter);
  };
  if (typeof thread === "number") {
    close();
    return null;
  }
  return {
    async wait(leastMs, mostMs, readerFd = NOBODY) {
      const [least, most] = [Math.ceil(leastMs), Math.ceil(mostMs)];
      writeWaitRequest(view, 0, {
        least_ms: least,
        most_ms: most,
        look_ms: lookMs(least, quiet),
        reader_fd: readerFd,
      });
      const answer = new Promise<void>((resolve) => (over = resolve));
      const begun = performance.now();
      (await socket).write(request);
      await answer;
      quiet = performance.now() - begun >= most;
    },
    [Symbol.dispose]() {
      shim.waiterStop(waiter);
      joinThread(thread);
      close();
      answered();
    },
  };
}

/** Calls `heard` for what comes, and when nothing more does; does not keep the process alive. */
async function watchSocket(fd: number, heard: () => void): Promise<Bun.Socket> {
  // Not in Bun's types. Its node:net takes one as well, and does not hear of anything.
  const options = { fd, socket: { data: heard, close: heard } } as unknown;
  const socket = await Bun.connect(options as Bun.UnixSocketOptions<undefined>);
  socket.unref();
  return socket;
}

/** Like a wait, it does not keep the process alive. */
const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, ms).unref());
