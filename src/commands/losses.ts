/** Tells of losses while they happen: on stderr, among the lines of stdout, in the recording. */

import { wallTime, type ClockPair } from "../conn/clock.ts";
import { Told, type Loss } from "../output/losses.ts";
import type { FollowOptions } from "./follow.ts";

/** Losses come in floods; one line per second says the same. */
const TELL_MS = 1_000;

type Sources = Pick<FollowOptions, "trace" | "writer" | "format" | "recorder" | "warn">;

/** `tell` does nothing if it did something less than a second ago; `rest` is for the end, where a summary follows. */
export function lossTeller(options: Sources) {
  const { trace, writer, format, recorder = null, warn } = options;
  const [onStderr, onStdout] = [new Told(), new Told()];
  let askedAt = -Infinity;
  let failureTold = false;

  const inStreams = (atNs: bigint, clocks: ClockPair) => {
    recorder?.tell(trace.losses(), atNs, clocks);
    if (format.lost === undefined) return;
    for (const news of onStdout.news([...trace.losses(), unread(writer)])) {
      // Behind a reader that stands still there is no room: it is told once there is.
      if (writer.pushAside(format.lost(news, wallTime(atNs, clocks)))) onStdout.tell(news);
    }
  };
  return {
    tell(atNs: bigint, clocks: ClockPair) {
      const now = performance.now();
      if (now - askedAt < TELL_MS) return;
      askedAt = now;
      inStreams(atNs, clocks);
      const failure = recorder?.failure ?? null;
      if (failure !== null && !failureTold) {
        failureTold = true;
        warn(`${failure.message}: ${failure.why}; recording has stopped, tracing goes on`);
      }
      const news = onStderr.news(allLosses(options));
      if (news.length === 0) return;
      for (const one of news) onStderr.tell(one);
      warn(`lost ${lossText(news)}`);
    },
    rest: inStreams,
  };
}

/** Every cause with what was lost to it, our own writing included; causes with nothing are left out. */
export function allLosses(
  { trace, writer, recorder = null }: Omit<Sources, "format" | "warn">,
  undelivered = 0n,
): Loss[] {
  const own = [unread(writer, undelivered), ...(recorder === null ? [] : [recorder.unsaved()])];
  return [...trace.losses(), ...own].filter(({ count }) => count > 0n);
}

/** `12 events: ring full 10, output read too slowly 2`; one cause stands alone. */
export function lossText(losses: readonly Loss[]): string {
  const total = losses.reduce((sum, { count }) => sum + count, 0n);
  const alone = losses.length === 1;
  const causes = losses.map(({ cause, count }) => (alone ? cause : `${cause} ${count}`)).join(", ");
  return `${total} event${total === 1n ? "" : "s"}: ${causes}`;
}

/** The part of a summary about events that are not among the lines. `unsure`: number of events with an unknown value. */
export function missingText(losses: readonly Loss[], unsure: number): string {
  const lost = losses.length === 0 ? "none lost" : `lost ${lossText(losses)}`;
  if (unsure === 0) return lost;
  return `${lost}; ${unsure} not shown, because their value for the filter is not known`;
}

// --- internal ---

/** Nobody lost what nobody wants to read any more. */
function unread({ closed, dropped }: FollowOptions["writer"], undelivered = 0n): Loss {
  return { cause: "output read too slowly", count: closed ? 0n : dropped + undelivered };
}
