/** Makes the kernel side note command lines; without it they come from /proc, of processes that are still there. */
import { guessProgram } from "../../guess/program.ts";
import type { AttachMode, Host } from "../../kernel/host.ts";
import { commandLineOf } from "../../kernel/process.ts";
import { Offset, type Event } from "../../record/layout.gen.ts";
import type { CommandSource } from "./command_lines.ts";
import { PROGRAMS_MAX } from "./command_source.ts";

export interface Asking {
  constants: Map<number, bigint>;
  entries: Record<string, number>;
}

/** Adds to `made` what the programs need for it. */
export function askForArgs(host: Host, mode: AttachMode, made: Asking, notes: string[]): void {
  const offsets = guessProgram(host, mode);
  if (typeof offsets === "string") {
    notes.push(argsFromProc(offsets));
    return;
  }
  made.constants.set(Offset.OFFSET_TASK_MM, BigInt(offsets.mm));
  made.constants.set(Offset.OFFSET_MM_ARG_START, BigInt(offsets.argStart));
  made.entries["programs"] = PROGRAMS_MAX;
}

/**
 * The kernel side has met the tool itself by now, in `early`: what it copied must be the tool's own command line. Else
 * nothing that it has is used.
 */
export function checkedCommands(
  source: CommandSource,
  early: readonly Event[],
  tgid: number,
  notes: string[],
): CommandSource {
  const own = early.find(({ owner }) => owner.pid === tgid && owner.program !== 0n);
  const noted = own && source.noted(own.owner.program);
  if (noted === undefined) return source; // not asked for, as was said
  const truth = commandLineOf(process.pid);
  const bytes = noted?.bytes.subarray(0, noted.length) ?? new Uint8Array();
  if (bytes.length > 0 && Buffer.compare(truth.subarray(0, bytes.length), bytes) === 0)
    return source;
  notes.push(argsFromProc("the copy of the tracer's own came back wrong"));
  return { ...source, noted: () => null };
}

export const argsFromProc = (why: string): string =>
  `command lines of processes that end within a poll are not known: ${why}`;
