/** How events are written. Pure: event and wall time in, one line out. */

import type { ConnEvent } from "../conn/event.ts";
import { csvHeader, csvLine } from "./csv.ts";
import { jsonLine } from "./json.ts";
import { textHeader, textLine } from "./text.ts";

export interface Format {
  /** Written once before the first event; `null` for none. */
  header: string | null;
  /** Without the line break. */
  line(event: ConnEvent, wallNs: bigint): string;
}

/** To add one, write `src/output/NAME.ts`, add a line here and a flag in src/commands/trace.ts. */
export const formats = {
  text: { header: textHeader(), line: textLine },
  json: { header: null, line: jsonLine },
  csv: { header: csvHeader(), line: csvLine },
} satisfies Record<string, Format>;
