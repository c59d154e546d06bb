import { wallTime } from "../conn/clock.ts";
import type { ConnEvent } from "../conn/event.ts";
import { exitCodes, UsageError } from "../errors.ts";
import { sieve } from "../filter/filter.ts";
import { localOffset } from "../kernel/local_time.ts";
import { log } from "../log.ts";
import type { Loss } from "../output/losses.ts";
import { createWriter } from "../output/writer.ts";
import { openRecording, type Recording } from "../recording/read.ts";
import { groupingNames, type Grouping } from "../summary/groups.ts";
import { renderings } from "../summary/render.ts";
import { Tally } from "../summary/tally.ts";
import { command, titled } from "./command.ts";
import { filterFlags, filterOf } from "./filter_flags.ts";
import { debugFlag } from "./flags.ts";
import { missingText } from "./losses.ts";
import { parseMoment } from "./moments.ts";
import {
  isWhole,
  lossByDamage,
  recordingArgument,
  RecordedLosses,
  refuseTerminal,
  strictFlag,
  tellDamage,
} from "./recorded.ts";
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
    since: {
      type: "string",
      valueHint: "TIME",
      description: "only events from this time on: 2026-11-29T03:00:00Z; without a zone local time",
    },
    until: { type: "string", valueHint: "TIME", description: "only events before this time" },
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
    const from = args.since === undefined ? null : parseMoment(args.since, "since", path);
    const to = args.until === undefined ? null : parseMoment(args.until, "until", path);
    if (from !== null && to !== null && from >= to)
      throw new UsageError("flag --until: the time is not after that of --since", {
        command: path,
      });
    const wanted = sieve(filterOf(args, path));
    const render = renderings[args.output as keyof typeof renderings];
    const stop = stopSignal();
    await using recording = await openRecording(args.file, stop);
    const tally = new Tally(args.by as Grouping, most);
    const losses = await addAll(recording, {
      stop,
      add(event, wallNs) {
        const isIn = (from === null || wallNs >= from) && (to === null || wallNs < to);
        if (isIn && wanted.shows(event)) tally.add(event, wallNs);
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

interface Reading {
  stop: AbortSignal;
  add(event: ConnEvent, wallNs: bigint): void;
  traceBegins(): void;
}

async function addAll(
  recording: Recording,
  { stop, add, traceBegins }: Reading,
): Promise<readonly Loss[]> {
  const losses = new RecordedLosses();
  let startNs: bigint | null = null;
  for await (const lines of recording.lines()) {
    for (const line of lines) {
      if (line.startNs !== startNs) traceBegins();
      startNs = line.startNs;
      const clocks = { monoNs: 0n, wallNs: line.wallMinusMonoNs };
      if (line.what === "event") add(line.event, wallTime(line.event.atNs, clocks));
      if (line.what === "lost") losses.add(line.lost);
    }
    if (stop.aborted) break;
  }
  losses.add(lossByDamage(recording.damage));
  return losses.all;
}

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
