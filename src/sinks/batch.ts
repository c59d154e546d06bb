/** For those who want the events of each poll in one list. Pure. */
import type { TracedEvent } from "../conn/identity.ts";
import type { Sink } from "./sink.ts";

/** `take` is called after each poll, also with none. */
export function batchSink(take: (events: TracedEvent[]) => void): Sink {
  let events: TracedEvent[] = [];
  return {
    event: (event) => void events.push(event),
    tick() {
      const taken = events;
      events = [];
      take(taken);
    },
  };
}
