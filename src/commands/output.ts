/** The flags that say how events are written, for every command that writes events. */

import { UsageError } from "../errors.ts";
import { localOffset } from "../kernel/local_time.ts";
import { terminalColumns } from "../kernel/libc.ts";
import { wantsColor } from "../log.ts";
import { formatNames, formatOf, type Format, type FormatName } from "../output/index.ts";
import type { Beside, Native, Sifting } from "../output/straight/index.ts";

export const outputFlags = {
  output: {
    type: "enum",
    alias: "o",
    options: formatNames as string[],
    description: "table for people; json: one object per line; csv (table if not given)",
  },
  json: { type: "boolean", description: "the same as --output json" },
  wide: { type: "boolean", alias: "w", description: "a table with all columns and exact numbers" },
  timestamp: {
    type: "boolean",
    alias: "t",
    description: "a column with the seconds since the trace began",
  },
  time: { type: "boolean", alias: "T", description: "a column with the time of day" },
  "print-uid": { type: "boolean", alias: "U", description: "a column with the user id" },
  "no-header": { type: "boolean", alias: "H", description: "no line with the column names" },
} as const;

/** Of standard output; `null`: it is no terminal. */
export const outputColumns = (): number | null => terminalColumns(STDOUT);

/** Values of the flags above; `undefined`: not given. */
export interface OutputArgs {
  output?: string | undefined;
  json?: boolean | undefined;
  wide?: boolean | undefined;
  timestamp?: boolean | undefined;
  time?: boolean | undefined;
  "print-uid"?: boolean | undefined;
  "no-header"?: boolean | undefined;
  args?: boolean | undefined;
}

/** `isFile`: lines go to a file, not to stdout. Checks them now; the format is made once it is known when the trace began. */
export function outputOf(args: OutputArgs, command: string, isFile = false) {
  const name = nameOf(args, command);
  for (const flag of unusedBy[name]) {
    if (args[flag] !== true) continue;
    throw new UsageError(`flag --${flag} means nothing in ${name}`, {
      command,
      why: "it is about the columns of the table",
    });
  }
  return (
    startNs: bigint,
    native: Native | null = null,
    sifting: Sifting | null = null,
    beside: Beside | null = null,
  ): Format => {
    const options = {
      wide: args.wide === true,
      time: args.time === true,
      uid: args["print-uid"] === true,
      args: args.args === true,
      sinceNs: args.timestamp === true ? startNs : null,
      color: !isFile && wantsColor(STDOUT),
      terminalColumns: isFile || args.wide === true || name !== "table" ? null : narrowTerminal(),
      offsetAt: localOffset,
    };
    const format = formatOf(name, options, native, sifting, beside);
    return args["no-header"] === true ? { ...format, header: null } : format;
  };
}

// --- internal ---

const STDOUT = 1;
/** As wide as the table. */
const USUAL_COLUMNS = 80;

/** The width of a terminal that has no room for the table; `null`: there is room, or no terminal. */
function narrowTerminal(): number | null {
  const columns = outputColumns();
  return columns !== null && columns < USUAL_COLUMNS ? columns : null;
}

/** Refused rather than ignored: who gives them expects something else than what they would get. */
const unusedBy: Readonly<
  Record<FormatName, readonly ("wide" | "timestamp" | "time" | "print-uid" | "no-header")[]>
> = {
  table: [],
  json: ["wide", "timestamp", "time", "print-uid", "no-header"],
  csv: ["wide", "timestamp", "time", "print-uid"],
};

function nameOf({ output, json }: OutputArgs, command: string): FormatName {
  const name = formatNames.find((known) => known === output);
  if (json !== true) return name ?? "table";
  if (name === undefined || name === "json") return "json";
  throw new UsageError(`--json and --output ${name} exclude each other`, {
    command,
    suggestion: `--output ${name}`,
  });
}
