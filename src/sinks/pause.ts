/** Waits that end early, without an error, when a signal is aborted. */
import type { LineWriter } from "../output/writer.ts";

/** After a signal, how long a reader that stands still may take for what is pending. */
const GRACE_MS = 2_000;
/** Of timers. */
const LONGEST_MS = 2 ** 31 - 1;

/** Until all is written; once `stop` is aborted, only for a while. */
export async function settle(writer: LineWriter, stop: AbortSignal): Promise<void> {
  const done = new AbortController();
  const settled = writer.settled().finally(() => done.abort());
  const impatience = pause(Infinity, AbortSignal.any([stop, done.signal])).then(() =>
    pause(GRACE_MS, done.signal),
  );
  await Promise.race([settled, impatience]);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return orAborted((end) => {
    const timer = setTimeout(end, Math.min(ms, LONGEST_MS));
    return () => clearTimeout(timer);
  }, signal);
}

/** Until `wait` is over, or the signal comes. */
export function untilAborted(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  return orAborted((end, fail) => void wait.then(end, fail), signal);
}

/** The event loop gets a turn: timers, signals and whatever has been read or written. */
export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Keeps the process from ending as long as it is not disposed of. */
export function keptAlive(): Disposable & { ref(): void; unref(): void } {
  const timer = setInterval(() => {}, LONGEST_MS);
  return {
    ref: () => void timer.ref(),
    unref: () => void timer.unref(),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

// --- internal ---

/** `begin` calls `end` once it is over, and returns how to give up. Nothing of it stays at a signal that never comes. */
function orAborted(
  begin: (end: () => void, fail: (error: unknown) => void) => (() => void) | void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve();
    const release = () => signal.removeEventListener("abort", end);
    const end = () => {
      giveUp?.();
      release();
      resolve();
    };
    const giveUp = begin(end, (error) => {
      release();
      reject(error);
    });
    signal.addEventListener("abort", end);
  });
}
