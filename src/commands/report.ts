import { utc } from "../conn/clock.ts";
import { exitCodes, UsageError } from "../errors.ts";
import { sieve } from "../filter/filter.ts";
import { isTerminal, log } from "../log.ts";
import { createWriter } from "../output/writer.ts";
import { openRecording } from "../recording/read.ts";
import type { Session } from "../recording/format.ts";
import { Gathering } from "../report/gather.ts";
import { pageHtml } from "../report/html.ts";
import { pageOf } from "../report/contents.ts";
import { Tally } from "../summary/tally.ts";
import { command, titled } from "./command.ts";
import { filterFlags, filterOf } from "./filter_flags.ts";
import { debugFlag } from "./flags.ts";
import { missingText } from "./losses.ts";
import {
  damageTexts,
  isWhole,
  nameOf,
  recordingArgument,
  refuseTerminal,
  strictFlag,
  tellDamage,
} from "./recorded.ts";
import { readEvents, timeFlags, timeTest } from "./recorded_events.ts";
import { stopSignal } from "./stop.ts";
import { wholeNumber } from "./wrong.ts";

const path = "tracer-bpf report";
const STDOUT = 1;

export const reportCommand = command({
  description:
    "make one HTML page of a recording of trace --record: tables, a timeline, who spoke with what",
  examples: [
    `${path} FILE > report.html`,
    `${path} FILE --comm nginx --since '2026-11-29 03:00' > night.html`,
    `zcat FILE.gz | ${path} - > report.html`,
  ],
  flags: {
    file: recordingArgument,
    connections: {
      type: "string",
      valueHint: "N",
      default: "100000",
      description: "list at most N connections, the newest ones; sums and pictures have all",
    },
    ...timeFlags,
    ...titled("which events", filterFlags),
    strict: strictFlag,
    debug: debugFlag,
  },
  async run(args) {
    refuseTerminal(args.file, path);
    if (isTerminal(STDOUT))
      throw new UsageError("stdout: a terminal, and the report is a page for a browser", {
        command: path,
        suggestion: `${path} ${args.file} > report.html`,
      });
    const gathering = new Gathering(connectionsOf(args.connections));
    const isIn = timeTest(args, path);
    const wanted = sieve(filterOf(args, path));
    const stop = stopSignal();
    await using recording = await openRecording(args.file, stop);
    const tally = new Tally("process", ROWS, (told) => gathering.add(told));
    const sessions: Session[] = [];
    const losses = await readEvents(recording, {
      stop,
      add(event, wallNs) {
        if (isIn(wallNs) && wanted.shows(event)) tally.add(event, wallNs);
      },
      traceBegins: () => tally.endOfTrace(),
      session: (session) => void sessions.push(session),
    });
    const missing = missingText(losses, wanted.unsure);
    const damage = damageTexts(recording.damage);
    const page = pageOf(tally.summary(), gathering.all, {
      name: nameOf(args.file),
      sessions,
      warnings: [...(losses.length === 0 ? [] : [missing]), ...damage],
      offsetAt: utc,
    });
    const writer = createWriter();
    writer.pushAside(pageHtml(page, sha256).trimEnd());
    await writer.settled();
    if (writer.failure !== null) throw writer.failure;
    tellDamage(args.file, recording.damage);
    log.info(`the recording: ${missing}`);
    return args.strict === true && !isWhole(losses, recording.damage)
      ? exitCodes.lost
      : exitCodes.done;
  },
});

/** Of the tables with the most of something. */
const ROWS = 100;

const sha256 = (text: string): string => Bun.SHA256.hash(text, "base64");

/** The page of so many takes a browser a second or two. */
const MOST_CONNECTIONS = 1_000_000;

function connectionsOf(text: string): number {
  const count = wholeNumber(text, 1, MOST_CONNECTIONS);
  if (count !== null) return count;
  throw new UsageError(`flag --connections: "${text}" is no number of connections`, {
    command: path,
    why: `it is a whole number from 1 to ${MOST_CONNECTIONS}`,
    suggestion: "--connections 100000",
  });
}
