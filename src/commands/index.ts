/** The command tree. To add a command, write `src/commands/NAME.ts` and add a line here. */

import { checkCommand } from "./check.ts";
import { group } from "./command.ts";
import { offsetsCommand } from "./offsets.ts";
import { schemaCommand } from "./schema.ts";
import { traceCommand } from "./trace.ts";
import { versionCommand } from "./version.ts";

export const root = group(
  "traces every TCP connection of this host; needs root, but no headers, compiler, BTF or network",
  {
    trace: traceCommand,
    check: checkCommand,
    offsets: offsetsCommand,
    schema: schemaCommand,
    version: versionCommand,
  },
  [
    "sudo tracer-bpf trace",
    "sudo tracer-bpf trace --duration 10s --json",
    "sudo tracer-bpf offsets guess",
  ],
);
