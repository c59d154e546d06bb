/** Messages to people, all on stderr: stdout carries data only. */

import { writeSync } from "node:fs";
import { createConsola, LogLevels, type LogObject } from "consola/basic";
import { escapeLines } from "./output/escape.ts";

/** Its own reporter, because consola's writes through streams that a process.exit can cut short. */
export const log = createConsola({
  // Given here, so that CONSOLA_LEVEL in somebody's environment cannot silence a loss.
  level: LogLevels.info,
  stdout: process.stderr,
  stderr: process.stderr,
  reporters: [{ log: (entry) => tell(`${prefixOf(entry)}${escapeLines(entry.args.join(" "))}\n`) }],
});

export function showDebug(): void {
  log.level = LogLevels.debug;
}

/** Written before it returns. When nobody reads stderr any more there is nobody left to tell. */
export function tell(text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(2, bytes, at);
    } catch (error) {
      // Somebody else made the terminal non-blocking: wait for it.
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) return;
      Bun.sleepSync(1);
    }
  }
}

const prefixes: Readonly<Record<string, string>> = {
  fatal: "error: ",
  error: "error: ",
  warn: "warning: ",
  debug: "debug: ",
};

function prefixOf(entry: LogObject): string {
  return prefixes[entry.type] ?? "";
}
