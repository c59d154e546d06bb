/** How events are written. Pure: event and wall time in, one line out. */

import { utc, wallTime, type ClockPair, type OffsetAt } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import type { Records } from "../record/records.ts";
import { csvHeader, csvLine, csvTemplate } from "./csv.ts";
import { jsonLine, jsonLost, jsonTemplate } from "./json.ts";
import type { Lines } from "./lines.ts";
import type { Loss } from "./losses.ts";
import {
  straight,
  type Beside,
  type Describe,
  type Native,
  type Shape,
  type Sifting,
  type Straight,
} from "./straight/index.ts";
import { textFormat, type TextOptions } from "./text.ts";

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
  /** The same of several, up to the first for which `appendRecord` is to be called. Returns how many it took. */
  appendRecords?(lines: Lines, of: Records, clocks: ClockPair, describe: Describe): number;
  /** Whether records that nobody wants are left out by the two above; events never are. */
  sifts?: boolean;
  /** Whether a recording and those who wait for events know by themselves of what the two above take. */
  carries?: boolean;
  /** Before these are asked. */
  settle?(): void;
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
  terminalColumns: null,
  offsetAt: utc,
};

/** To add one, write `src/output/NAME.ts` and add a line here: `--output` offers them all. */
const written = {
  table: textFormat(plain),
  json: { header: null, line: jsonLine, template: jsonTemplate, lost: jsonLost },
  csv: { header: csvHeader(), line: csvLine, template: csvTemplate },
} satisfies Record<string, Written>;

export const formats = {
  table: withStraight(written.table),
  json: withStraight(written.json),
  csv: withStraight(written.csv),
} satisfies Record<keyof typeof written, Format>;

export type FormatName = keyof typeof formats;
export const formatNames = Object.keys(formats) as FormatName[];

/** Only the table has options. `native`, `sifting`, `beside`: see straight(). */
export const formatOf = (
  name: FormatName,
  options: Partial<TextOptions>,
  native: Native | null = null,
  sifting: Sifting | null = null,
  beside: Beside | null = null,
): Format =>
  withStraight(
    name === "table" ? textFormat({ ...plain, ...options }) : written[name],
    native,
    sifting,
    beside,
  );

// --- internal ---

/** A format as its file has it. */
interface Written extends Format {
  template: Shape;
  /** Left out: the format has no local time. */
  offsetAt?: OffsetAt;
}

function withStraight<T extends Written>(
  { template, offsetAt = utc, ...format }: T,
  native: Native | null = null,
  sifting: Sifting | null = null,
  beside: Beside | null = null,
) {
  // Most formats are never used.
  let way: Straight | null = null;
  const made = () =>
    (way ??= straight(template, offsetAt, undefined, undefined, native, sifting, beside));
  return {
    ...format,
    sifts: sifting !== null,
    carries: beside !== null,
    settle: () => way?.settle(),
    append(lines: Lines, event: ConnEvent, clocks: ClockPair) {
      if (made().event(lines, event, clocks)) return;
      lines.line(format.line(event, wallTime(event.atNs, clocks)));
    },
    appendRecord: (
      lines: Lines,
      view: DataView,
      p: number,
      clocks: ClockPair,
      describe: Describe,
    ) => made().record(lines, view, p, clocks, describe),
    appendRecords: (lines: Lines, of: Records, clocks: ClockPair, describe: Describe) =>
      made().records(lines, of, clocks, describe),
  };
}
