/** How events are written. Pure: event and wall time in, one line out. */

import type { ClockPair } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import { csvHeader, csvLine } from "./csv.ts";
import { jsonLine, jsonLost } from "./json.ts";
import { textFormat, type TextOptions } from "./text.ts";
import { appendJson } from "./json_fast.ts";
import type { Describe } from "./json_beginning.ts";
import { appendRecordJson } from "./json_record.ts";
import type { Lines } from "./lines.ts";
import type { Loss } from "./losses.ts";

export interface Format {
  /** Written once before the first event; `null` for none. */
  header: string | null;
  /** Without the line break. */
  line(event: ConnEvent, wallNs: bigint): string;
  /** The same line, made faster, and its line break. */
  append?(lines: Lines, event: ConnEvent, clocks: ClockPair): void;
  /** The same line straight from a struct event of the kernel; `false`: this record has to become an event first. */
  appendRecord?(
    lines: Lines,
    view: DataView,
    p: number,
    clocks: ClockPair,
    describe: Describe,
  ): boolean;
  /** A line about events that were lost; left out: this format has none, stderr tells. */
  lost?(loss: Loss, wallNs: bigint): string;
}

const plain: TextOptions = {
  wide: false,
  time: false,
  uid: false,
  args: false,
  sinceNs: null,
  color: false,
};

/** To add one, write `src/output/NAME.ts` and add a line here: `--output` offers them all. */
export const formats = {
  table: textFormat(plain),
  json: {
    header: null,
    line: jsonLine,
    append: appendJson,
    appendRecord: appendRecordJson,
    lost: jsonLost,
  },
  csv: { header: csvHeader(), line: csvLine },
} satisfies Record<string, Format>;

export type FormatName = keyof typeof formats;
export const formatNames = Object.keys(formats) as FormatName[];

/** Only the table has options. */
export const formatOf = (name: FormatName, options: Partial<TextOptions>): Format =>
  name === "table" ? textFormat({ ...plain, ...options }) : formats[name];
