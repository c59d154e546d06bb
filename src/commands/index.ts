/** The command tree. To add a command, write `src/commands/NAME.ts` and add a line here. */

import { checkCommand } from "./check.ts";
import { group, type Command } from "./command.ts";
import { completionsCommand } from "./completions.ts";
import { licensesCommand } from "./licenses.ts";
import { manCommand } from "./man.ts";
import { offsetsCommand } from "./offsets.ts";
import { replayCommand } from "./replay.ts";
import { reportCommand } from "./report.ts";
import { schemaCommand } from "./schema.ts";
import { summaryCommand } from "./summary.ts";
import { topCommand } from "./top.ts";
import { traceCommand } from "./trace.ts";
import { versionCommand } from "./version.ts";

/** The name that people type; completions and the manual page name it. */
export const programName = "tracer-bpf";

export const root: Command = group(
  "traces every TCP connection and UDP flow of this host; needs root, but no headers, compiler, BTF or network",
  {
    trace: traceCommand,
    top: topCommand,
    replay: replayCommand,
    summary: summaryCommand,
    report: reportCommand,
    check: checkCommand,
    offsets: offsetsCommand,
    schema: schemaCommand,
    completions: completionsCommand(programName, () => root),
    man: manCommand(programName, () => root),
    licenses: licensesCommand,
    version: versionCommand,
  },
  [
    "sudo tracer-bpf trace",
    "sudo tracer-bpf trace --duration 10s --json",
    "sudo tracer-bpf offsets guess",
  ],
);
