/** The events in a file, for replay. */
import type { Recorder } from "../recording/recorder.ts";
import type { Sink } from "./sink.ts";

/** A write that fails is told of so soon. */
const WRITING_MS = 100;

/** `carried`: see Sink. A file that cannot be written any more ends no trace: it is told once, and what it lacks is a loss. */
export function recordingSink(
  recorder: Omit<Recorder, keyof AsyncDisposable>,
  warn: (line: string) => void,
  carried: boolean,
): Sink {
  let failureTold = false;
  return {
    event: (event, clocks) => recorder.take([event], clocks),
    carried,
    tick: () => recorder.handOn(),
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
      recorder.handOn();
      recorder.tell(losses().before, atNs, clocks);
      await recorder.end(atNs, clocks);
    },
    losses: () => [recorder.unsaved()],
    get dueMs() {
      return recorder.pending > 0 ? WRITING_MS : Infinity;
    },
  };
}
