/** Lines of a format on a writer. */
import { wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import type { Format } from "../output/index.ts";
import { Lines } from "../output/lines.ts";
import { Told, type Loss } from "../output/losses.ts";
import type { LineWriter } from "../output/writer.ts";
import { settle } from "./pause.ts";
import type { Losses, Moment, Sink } from "./sink.ts";

export interface LinesOptions {
  format: Format;
  writer: LineWriter;
  /** Once aborted, a reader that stands still is not waited for much longer. */
  stop: AbortSignal;
  /** Whether nobody reads the lines any more, which a write would only tell when there is something to write. */
  readerGone?(): boolean;
}

export interface LineSink extends Sink {
  event(event: ConnEvent, clocks: ClockPair): void;
  tick(): void;
  end(losses: () => Losses, now: Moment): Promise<void>;
  /** Events that became lines which the writer has taken, or is going to be given. */
  readonly made: number;
  /** Events that became lines which are written. */
  readonly shown: number;
  /** The reader went away (`trace | head`), so nobody waits for a summary. */
  readonly readerLeft: boolean;
}

/** Lines that a slow reader was not given. */
export const OUTPUT_UNREAD = "output read too slowly";

/** So much is handed on at once, that a burst takes no more memory than this and what the writer holds. */
const HANDED_BYTES = 1 << 20;
/** Lines that are being written, and those that a slow reader was not given, are told of so soon. */
const WRITING_MS = 100;

export function lineSink({ format, writer, stop, readerGone }: LinesOptions): LineSink {
  const lines = new Lines();
  const told = new Told();
  let taken = 0;
  let readerLeft = false;
  let ended = false;
  const handOn = (): void => void (taken += writer.pushLines(lines));
  /** Nobody lost what nobody wants to read any more. */
  const unread = (): Loss => {
    const count = writer.dropped + BigInt(ended ? writer.pending : 0);
    return { cause: OUTPUT_UNREAD, count: writer.closed ? 0n : count };
  };
  const tell = ({ before }: Losses, { atNs, clocks }: Moment): void => {
    for (const news of told.news([...before, unread()])) {
      // Behind a reader that stands still there is no room: it is told once there is.
      if (writer.pushAside(format.lost!(news, wallTime(atNs, clocks)))) told.tell(news);
    }
  };
  const { appendRecord, appendRecords } = format;
  if (format.header !== null) writer.pushAside(format.header);
  return {
    event(event, clocks) {
      if (writer.full) return writer.drop();
      if (format.append === undefined) lines.line(format.line(event, wallTime(event.atNs, clocks)));
      else format.append(lines, event, clocks);
      if (lines.used >= HANDED_BYTES) handOn();
    },
    ...(appendRecord !== undefined && {
      record(view, p, clocks, describe) {
        if (writer.full) {
          // Other sinks are not full.
          if (format.carries === true) return false;
          writer.drop();
          return true;
        }
        if (lines.used >= HANDED_BYTES) handOn();
        return appendRecord(lines, view, p, clocks, describe);
      },
    }),
    ...(appendRecords !== undefined && {
      records(of, clocks, describe) {
        if (writer.full) return 0;
        if (lines.used >= HANDED_BYTES) handOn();
        return appendRecords(lines, of, clocks, describe);
      },
    }),
    tick() {
      handOn();
      readerLeft = writer.closed || readerGone?.() === true;
    },
    ...(format.lost !== undefined && { lost: tell }),
    async end(losses, now) {
      format.settle?.();
      handOn();
      await settle(writer, stop);
      if (format.lost !== undefined) tell(losses(), now);
      // Behind a reader that stands still nothing more is written.
      if (writer.pending === 0) await settle(writer, stop);
      ended = true;
      if (writer.failure !== null) throw writer.failure;
    },
    losses: () => [unread()],
    get done() {
      return readerLeft || writer.failure !== null;
    },
    get dueMs() {
      return writer.pending > 0 ? WRITING_MS : Infinity;
    },
    get made() {
      return taken + lines.count;
    },
    get shown() {
      return taken - writer.pending;
    },
    get readerLeft() {
      return readerLeft || writer.closed;
    },
  };
}
