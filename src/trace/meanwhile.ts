/** For what takes long: work that must be done in between all the same, and how much of the time it may take. */

/** Twice as often as a poll comes: the rings are made for that. */
const EVERY_MS = 50;
/** To ask for the time costs as much as what is done in between. */
const CALLS_PER_CLOCK = 32;

/** The function it returns can be called all the time, and runs `work` now and then. */
export function meanwhile(work: () => void): () => void {
  let calls = 0;
  let at = 0;
  return () => {
    if (++calls % CALLS_PER_CLOCK !== 0) return;
    const now = performance.now();
    // Called rarely: whoever begins only now has done the work just before.
    if (now - at > 10 * EVERY_MS) at = now;
    if (now - at < EVERY_MS) return;
    work();
    at = performance.now();
  };
}

/** Work that took less time is done again whenever it is asked for. */
const SHORT_MS = 100;
const REST = 4;

/**
 * Runs work that takes at most a fifth of the time: after a long piece it rests, for `least` milliseconds after any, and
 * returns null meanwhile.
 */
export function rationed(
  least = 0,
  clock: () => number = () => performance.now(),
): <T>(work: () => T) => T | null {
  let restUntil = -Infinity;
  return (work) => {
    const began = clock();
    if (began < restUntil) return null;
    const result = work();
    const ended = clock();
    const long = ended - began >= SHORT_MS ? REST * (ended - began) : 0;
    restUntil = ended + Math.max(least, long);
    return result;
  };
}
