import { exitCodes, UsageError } from "../errors.ts";
import { sieve } from "../filter/filter.ts";
import { isTerminal, log } from "../log.ts";
import { columnLegend, failureLegend, signLegend } from "../output/legend.ts";
import { createWriter } from "../output/writer.ts";
import { openRecording, STDIN_NAME } from "../recording/read.ts";
import type { Damage } from "../recording/parse.ts";
import { command } from "./command.ts";
import { filterFlags, filterOf } from "./filter_flags.ts";
import { debugFlag, parseCount } from "./flags.ts";
import { missingText } from "./losses.ts";
import { outputFlags, outputOf } from "./output.ts";
import { replay } from "./replay_lines.ts";
import { stopSignal } from "./stop.ts";

const STDIN = 0;
const path = "tracer-bpf replay";

export const replayCommand = command({
  description: "print a recording of trace --record, with the same filters and formats",
  examples: [
    `${path} FILE`,
    `${path} FILE --wide --port 443`,
    `${path} FILE --json | jq .`,
    `zcat FILE.gz | ${path} -`,
  ],
  legends: [columnLegend, failureLegend, signLegend],
  flags: {
    file: {
      type: "positional",
      valueHint: "FILE",
      description: "a recording that trace --record wrote; - is stdin",
      required: true,
    },
    ...outputFlags,
    ...filterFlags,
    count: { type: "string", alias: "c", valueHint: "N", description: "stop after N events" },
    strict: {
      type: "boolean",
      description: "end with exit code 4 if events were lost, or the file is not whole",
    },
    debug: debugFlag,
  },
  async run(args) {
    if (args.file === "-" && isTerminal(STDIN))
      throw new UsageError(`argument FILE: "-" is stdin, and that is a terminal`, {
        command: path,
        why: "a recording comes from a pipe or a file",
        suggestion: `zcat FILE.gz | ${path} -`,
      });
    const formatSince = outputOf(args, path);
    const count = args.count === undefined ? null : parseCount(args.count, path);
    const wanted = sieve(filterOf(args, path));
    const stop = stopSignal();
    await using recording = await openRecording(args.file, stop);
    const { shown, losses, readerLeft } = await replay({
      recording,
      formatSince,
      shows: wanted.shows,
      writer: createWriter(),
      count,
      stop,
      note: (line) => log.info(line),
    });
    if (!readerLeft) {
      const name = args.file === "-" ? STDIN_NAME : args.file;
      for (const line of damageTexts(recording.damage)) log.warn(`${name}: ${line}`);
      const missing = missingText(losses, wanted.unsure);
      log.info(`${shown} event${shown === 1 ? "" : "s"} replayed, ${missing}`);
    }
    const { unended, repeated } = recording.damage;
    const whole = losses.length === 0 && unended === 0 && repeated === 0;
    return args.strict === true && !whole ? exitCodes.lost : exitCodes.done;
  },
});

function damageTexts({ damaged, firstDamaged, missing, repeated, unended }: Damage): string[] {
  const texts: string[] = [];
  if (damaged === 1) texts.push(`line ${firstDamaged} is cut off or damaged, and is skipped`);
  if (damaged > 1)
    texts.push(
      `${damaged} lines are cut off or damaged, and are skipped; the first is line ${firstDamaged}`,
    );
  if (missing > 0n) texts.push(`${missing} line${missing === 1n ? " is" : "s are"} missing`);
  if (repeated > 0)
    texts.push(
      `${repeated} line${repeated === 1 ? " stands" : "s stand"} in the file a second time, and ` +
        `${repeated === 1 ? "is" : "are"} skipped there`,
    );
  if (unended > 0)
    texts.push(
      `${unended === 1 ? "a session has" : `${unended} sessions have`} no end: the file was cut off, ` +
        "or the tracer was killed or still runs",
    );
  return texts;
}
