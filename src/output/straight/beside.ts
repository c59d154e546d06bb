/**
 * The others that are told of each record that becomes a line: a recording, and a watch for certain events. The runtime makes no
 * event of such a record. Pure.
 */
import type { ClockPair } from "../../conn/clock.ts";
import type { ConnEvent } from "../../conn/event.ts";
import type { Lines, Segment } from "../lines.ts";
import type { Shape } from "./keys.ts";
import { UNWANTED } from "./sifting.ts";
import type { Template } from "./template.ts";

export interface Beside {
  recording: Recording | null;
  watch: Watch | null;
}

/** The same events in a file, as lines of another shape, which the shim alone can write. */
export interface Recording {
  /** Of a line up to its number. */
  shape: Shape;
  /** Of the place for the checksum, which a line begins with. */
  headBytes: number;
  /** Puts the number and the tail behind what lies before `to`, then the checksum at `at`. Returns where the line ends. */
  seal(out: DataView, at: number, to: number, of: RecordedLines): number;
  /** The place of the next lines, in the order of time; `null`: nothing is written any more. */
  into(clocks: ClockPair): RecordedLines | null;
}

export interface RecordedLines {
  lines: Lines;
  /** Of the next line. */
  number: number;
  /** Behind the number. */
  tail: Segment;
}

/** A look at each event. */
export interface Watch {
  /** Whether it looks at the remote address. */
  byRemote: boolean;
  /** Whether all events with the text of this one are the same to it. */
  isSure(event: ConnEvent): boolean;
  /** So many events with this one's text have come. */
  saw(event: ConnEvent, times: number): void;
}

/** `null` also where not all that is told besides follows from the text. */
export const withBeside =
  (shape: Shape, { recording, watch }: Beside): Shape =>
  (event) => {
    const template = shape(event);
    if (template === null || template === UNWANTED) return template;
    if (watch !== null && !watch.isSure(event)) return null;
    const recorded = recording === null ? null : recording.shape(event);
    if (recording !== null && recorded === null) return null;
    return { ...template, beside: { recorded, sample: event } } satisfies Template;
  };
