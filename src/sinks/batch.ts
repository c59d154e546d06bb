/** For those who want events in lists. Pure. */
import type { TracedEvent } from "../conn/identity.ts";
import type { Sink } from "./sink.ts";

/** The event loop gets no turn while `take` works. */
export const SHORT = 256;

/** `take` is called after each poll, also with none, and before that for each `most` events; left out: no limit. */
export function batchSink(take: (events: TracedEvent[]) => void, most = Infinity): Sink {
  let events: TracedEvent[] = [];
  const handOn = (): void => {
    const taken = events;
    events = [];
    take(taken);
  };
  return {
    event(event) {
      events.push(event);
      if (events.length >= most) handOn();
    },
    tick: handOn,
  };
}
