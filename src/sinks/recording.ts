/** The events in a file, for replay. */
import type { ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import type { Recorder } from "../recording/recorder.ts";
import type { Sink } from "./sink.ts";

/** So many events are handed on at once. */
const HANDED = 4096;
/** A write that fails is told of so soon. */
const WRITING_MS = 100;

/** A file that cannot be written any more ends no trace: it is told once, and what it lacks is a loss. */
export function recordingSink(
  recorder: Omit<Recorder, keyof AsyncDisposable>,
  warn: (line: string) => void,
): Sink {
  let held: ConnEvent[] = [];
  let heldClocks: ClockPair | null = null;
  let failureTold = false;
  const handOn = (): void => {
    if (heldClocks !== null && held.length > 0) recorder.take(held, heldClocks);
    held = [];
  };
  return {
    event(event, clocks) {
      held.push(event);
      heldClocks = clocks;
      if (held.length >= HANDED) handOn();
    },
    tick: handOn,
    lost({ before }, { atNs, clocks }) {
      recorder.tell(before, atNs, clocks);
      // A file that was opened anew can fail anew.
      const told = failureTold;
      failureTold = recorder.failure !== null;
      if (recorder.failure === null || told) return;
      const { message, why } = recorder.failure;
      warn(`${message}: ${why}; recording has stopped, tracing goes on`);
    },
    async end(losses, { atNs, clocks }) {
      handOn();
      recorder.tell(losses().before, atNs, clocks);
      await recorder.end(atNs, clocks);
    },
    losses: () => [recorder.unsaved()],
    get dueMs() {
      return recorder.pending > 0 ? WRITING_MS : Infinity;
    },
  };
}
