/** For what takes long: work that must be done in between all the same. */

/** Twice as often as a poll comes: the rings are made for that. */
const EVERY_MS = 50;
/** To ask for the time costs as much as what is done in between. */
const CALLS_PER_CLOCK = 32;

/** What it returns can be called all the time, and works now and then. */
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
