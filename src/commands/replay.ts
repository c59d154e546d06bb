import { exitCodes } from "../errors.ts";
import { sieve } from "../filter/filter.ts";
import { log } from "../log.ts";
import { columnLegend, failureLegend, signLegend } from "../output/legend.ts";
import { createWriter } from "../output/writer.ts";
import { openRecording } from "../recording/read.ts";
import { command, titled } from "./command.ts";
import { filterFlags, filterOf } from "./filter_flags.ts";
import { debugFlag, parseCount } from "./flags.ts";
import { missingText } from "./losses.ts";
import { outputFlags, outputOf } from "./output.ts";
import { isWhole, recordingArgument, refuseTerminal, strictFlag, tellDamage } from "./recorded.ts";
import { replay } from "./replay_lines.ts";
import { stopSignal } from "./stop.ts";

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
    file: recordingArgument,
    ...titled("how lines look", outputFlags),
    ...titled("which events", filterFlags),
    count: { type: "string", alias: "c", valueHint: "N", description: "stop after N events" },
    strict: strictFlag,
    debug: debugFlag,
  },
  async run(args) {
    refuseTerminal(args.file, path);
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
      tellDamage(args.file, recording.damage);
      const missing = missingText(losses, wanted.unsure);
      log.info(`${shown} event${shown === 1 ? "" : "s"} replayed, ${missing}`);
    }
    return args.strict === true && !isWhole(losses, recording.damage)
      ? exitCodes.lost
      : exitCodes.done;
  },
});
