import { exitCodes, UsageError } from "../errors.ts";
import { sieve } from "../filter/filter.ts";
import { localOffset } from "../kernel/local_time.ts";
import { log } from "../log.ts";
import { createWriter } from "../output/writer.ts";
import { openRecording } from "../recording/read.ts";
import { groupingNames, type Grouping } from "../summary/groups.ts";
import { renderings } from "../summary/render.ts";
import { Tally } from "../summary/tally.ts";
import { command, titled } from "./command.ts";
import { filterFlags, filterOf } from "./filter_flags.ts";
import { debugFlag } from "./flags.ts";
import { missingText } from "./losses.ts";
import { isWhole, recordingArgument, refuseTerminal, strictFlag, tellDamage } from "./recorded.ts";
import { readEvents, timeFlags, timeTest } from "./recorded_events.ts";
import { stopSignal } from "./stop.ts";
import { wholeNumber } from "./wrong.ts";

const path = "tracer-bpf summary";

export const summaryCommand = command({
  description: "sum up a recording of trace --record: who moved most, what failed, what was slow",
  examples: [
    `${path} FILE`,
    `${path} FILE --by remote --top 20`,
    `${path} FILE --since '2026-11-29 03:00' --until '2026-11-29 03:15'`,
    `${path} FILE -o json | jq .failures`,
  ],
  flags: {
    file: recordingArgument,
    by: {
      type: "enum",
      options: groupingNames as string[],
      default: "process",
      description: "what connections are put together by; remote: NAT applied where it is known",
    },
    top: { type: "string", valueHint: "N", default: "10", description: "rows of each table" },
    ...timeFlags,
    output: {
      type: "enum",
      alias: "o",
      options: Object.keys(renderings),
      default: "table",
      description: "table for people; json: one object; csv: the first table alone",
    },
    ...titled("which events", filterFlags),
    strict: strictFlag,
    debug: debugFlag,
  },
  async run(args) {
    refuseTerminal(args.file, path);
    const most = rowsOf(args.top);
    const isIn = timeTest(args, path);
    const wanted = sieve(filterOf(args, path));
    const render = renderings[args.output as keyof typeof renderings];
    const stop = stopSignal();
    await using recording = await openRecording(args.file, stop);
    const tally = new Tally(args.by as Grouping, most);
    const losses = await readEvents(recording, {
      stop,
      add(event, wallNs) {
        if (isIn(wallNs) && wanted.shows(event)) tally.add(event, wallNs);
      },
      traceBegins: () => tally.endOfTrace(),
    });
    const writer = createWriter();
    writer.pushAside(render(tally.summary(), { most, offsetAt: localOffset, losses }).trimEnd());
    await writer.settled();
    if (writer.failure !== null) throw writer.failure;
    tellDamage(args.file, recording.damage);
    log.info(`the recording: ${missingText(losses, wanted.unsure)}`);
    return args.strict === true && !isWhole(losses, recording.damage)
      ? exitCodes.lost
      : exitCodes.done;
  },
});

// --- internal ---

const MOST_ROWS = 10_000;

function rowsOf(text: string): number {
  const rows = wholeNumber(text, 1, MOST_ROWS);
  if (rows !== null) return rows;
  throw new UsageError(`flag --top: "${text}" is no number of rows`, {
    command: path,
    why: `it is a whole number from 1 to ${MOST_ROWS}`,
    suggestion: "--top 20",
  });
}
