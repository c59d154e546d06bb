/** Command lines, which the kernel side copies; without it they come from /proc, of processes that are still there. */
import { guessProgram } from "../../guess/program.ts";
import { capability } from "../../kernel/capability.ts";
import { CAP_SYS_PTRACE } from "../../kernel/constants.ts";
import type { Host } from "../../kernel/host.ts";
import { commandLineOf } from "../../kernel/process.ts";
import type { GuessReport } from "../../guess/report.ts";
import { Offset } from "../../record/layout.gen.ts";
import { tellRefusal } from "../refusal.ts";
import type { TraceOptions } from "../options.ts";
import type { Opened, Part, Point, Prepared, Working } from "../part.ts";
import { CommandLines, type CommandSource } from "./command_lines.ts";
import { commandSource, PROGRAMS_MAX } from "./command_source.ts";

const OF_ARGS = {
  name: "command lines",
  without: "command lines of processes that end within a poll are not known",
} as const;

export const argsPart = ({ args: asked = false }: TraceOptions): Part => ({
  ...OF_ARGS,
  asked,
  prepare,
  points: () => [],
  beside,
  start: (on, between) => start(checkedCommands(sourceOf(on, between), on)),
  startRefused: (on, between) => start(sourceOf(on, between)),
});

// --- internal ---

function prepare(host: Host, report: GuessReport): Prepared | string {
  const offsets = guessProgram(host, report.attach);
  if (typeof offsets === "string") return offsets;
  return {
    constants: new Map([
      [Offset.OFFSET_TASK_MM, BigInt(offsets.mm)],
      [Offset.OFFSET_MM_ARG_START, BigInt(offsets.argStart)],
    ]),
    mapSizes: { programs: PROGRAMS_MAX },
  };
}

/** A process is met at the calls by which it opens, accepts, closes, sends and receives: other parts say where these are. */
function beside(others: readonly Point[]): readonly Point[] {
  const places = new Map<string, Point>();
  for (const place of others)
    if ("tracepoint" in place) {
      const { ofOwner: program, tracepoint } = place;
      if (program !== undefined) places.set(tracepoint, { program, tracepoint });
    } else if ("kprobe" in place && place.ofOwner === true) {
      const { kprobe, returns, fentry } = place;
      const point = { program: "on_call", kprobe, optional: true } as const;
      // A program of fexit sees the arguments, but the process is to be met before it connects.
      places.set(kprobe, returns && !fentry ? { ...point, returns } : point);
    }
  return [...places.values()];
}

const sourceOf = ({ host, object, tgid }: Opened, between: () => void): CommandSource =>
  commandSource(host.shim, object, tgid, between);

function start(source: CommandSource): Working {
  const commands = new CommandLines(source);
  return {
    // The file that another user's process runs is told only to those who may look into it.
    capabilities: capability(CAP_SYS_PTRACE),
    renew: () => commands.renew(),
    enrich(shown, { owner }) {
      Object.assign(shown, commands.of(shown.pid, owner));
    },
  };
}

/**
 * The kernel side has met the tool itself by now, in `early`: what it copied must be the tool's own command line. Else
 * nothing that it has is used.
 */
function checkedCommands(
  source: CommandSource,
  { early, tgid, notes }: Pick<Opened, "early" | "tgid" | "notes">,
): CommandSource {
  const own = early.find(({ owner }) => owner.pid === tgid && owner.program !== 0n);
  const noted = own && source.noted(own.owner.program);
  if (noted === undefined) return source; // not asked for, as was said
  const truth = commandLineOf(process.pid);
  const bytes = noted?.bytes.subarray(0, noted.length) ?? new Uint8Array();
  if (bytes.length > 0 && Buffer.compare(truth.subarray(0, bytes.length), bytes) === 0)
    return source;
  tellRefusal(OF_ARGS, "the copy of the tracer's own came back wrong", notes);
  return { ...source, noted: () => null };
}
