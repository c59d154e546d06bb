/** Asks for what is open right now, between two polls of the loop. */
import { SETTLED_NS } from "../trace/running.ts";
import type { Loop } from "./loop.ts";

/**
 * The sinks get what has happened, and a "sample" of each open connection that has moved something. A poll gives what is settled
 * by then, hence the waits: this takes 3 ms, and some more per thousand connections. Returns the connections that are gone
 * though no end of them was told.
 */
export function pollFresh<T>(trace: { sample(): T }, loop: Pick<Loop, "poll">): T {
  settle();
  loop.poll();
  const gone = trace.sample();
  settle();
  loop.poll();
  return gone;
}

/** A little longer than that, since clocks are read apart. */
const settle = () => Bun.sleepSync(Number(SETTLED_NS) / 1e6 + 0.2);
