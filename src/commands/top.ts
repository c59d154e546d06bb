import { exitCodes, UsageError } from "../errors.ts";
import { noFilter, sieve, type Filter } from "../filter/filter.ts";
import { isTerminal, log } from "../log.ts";
import { createWriter } from "../output/writer.ts";
import { openLoop } from "../sinks/loop.ts";
import { together } from "../sinks/together.ts";
import { topSink } from "../sinks/top.ts";
import { orders } from "../top/columns.ts";
import { topGroupingNames, type TopGrouping } from "../top/groupings.ts";
import { Model } from "../top/model.ts";
import { firstView } from "../top/state.ts";
import { command, titled } from "./command.ts";
import { absent } from "./absent.ts";
import { filterFlags, filterOf } from "./filter_flags.ts";
import { attachFlag, attachMode, debugFlag, parseConnections, parseInterval } from "./flags.ts";
import { lookFlags, looksOf } from "./looks.ts";
import { lossWarner, missingText } from "./losses.ts";
import { stopSignal } from "./stop.ts";
import { resolve } from "./strict.ts";
import { batchView } from "./top_batch.ts";
import { costMeter } from "./top_cost.ts";
import { liveView } from "./top_live.ts";
import { wholeNumber } from "./wrong.ts";

const STDOUT = 1;
const path = "tracer-bpf top";

/** They are about single events, which this command does not show. */
const { events: _, failed: __, ...connectionFlags } = filterFlags;

export const topCommand = command({
  description: "watch what each process, remote end or connection moves, second by second",
  examples: [
    path,
    `${path} 5`,
    `${path} --by connection --sort rtt`,
    `${path} --comm nginx --remoteport 443`,
    `${path} -b 1 10`,
    `${path} --json | jq .total`,
  ],
  flags: {
    interval: {
      type: "positional",
      required: false,
      default: "1s",
      description: "time between two looks: 2, 500ms, 1m; a plain number is seconds",
    },
    count: {
      type: "positional",
      required: false,
      description: "end after so many intervals",
    },
    by: {
      type: "enum",
      options: topGroupingNames as string[],
      default: "process",
      description:
        "what connections are put together by; port: the local one; remote: NAT applied where it is known",
    },
    sort: {
      type: "enum",
      alias: "s",
      options: orders.map(({ name }) => name),
      default: "rate",
      description: "the column to sort by, the most first; rate: bytes both ways",
    },
    rows: {
      type: "string",
      alias: "r",
      valueHint: "N",
      description: "rows at most (as many as fit; 20 where there is no screen)",
    },
    batch: {
      type: "boolean",
      alias: "b",
      description:
        "print a table for each interval, without keys; also if stdout is no terminal or TERM is dumb",
    },
    noclear: {
      type: "boolean",
      alias: "C",
      description: "do not clear the screen: the same as --batch",
    },
    json: { type: "boolean", description: "print one JSON object for each interval" },
    ...titled("which connections", connectionFlags),
    ...titled("what is looked at besides", lookFlags),
    attach: attachFlag,
    offsets: {
      type: "string",
      valueHint: "FILE",
      description: "use saved offsets if they are of the running kernel, else guess",
    },
    "max-connections": {
      type: "string",
      valueHint: "N",
      description: "follow at most N TCP connections and N UDP flows at once (default 65536)",
    },
    debug: debugFlag,
  },
  async run(args) {
    const intervalMs = parseInterval(args.interval, path, {
      name: "argument INTERVAL",
      before: path,
    });
    const count =
      args.count === undefined ? null : wholeOf(args.count, "argument COUNT", "count of intervals");
    const rows =
      args.rows === undefined ? null : wholeOf(args.rows, "flag --rows", "number of rows");
    const connections = args["max-connections"];
    const maxConnections = connections === undefined ? null : parseConnections(connections, path);
    const filter = filterOf({ ...args, events: undefined, failed: false }, path);
    const looks = looksOf(args, filter, path);
    const writer = createWriter();
    const stop = stopSignal();
    const { openTrace } = await import("../trace/tracer.ts");
    const { readClocks, monotonicNs } = await import("../kernel/clock.ts");
    const { hasNoReader, terminalColumns } = await import("../kernel/libc.ts");
    await using trace = await openTrace({
      attach: attachMode(args.attach),
      debug: args.debug === true,
      sampling: true,
      filter,
      ...looks,
      ...(maxConnections === null ? {} : { maxConnections }),
      ...(args.offsets === undefined ? {} : { offsetsFile: args.offsets }),
    });
    trace.takeStock();
    // Asked while the files that tell can be read.
    for (const note of [...trace.notes, ...absent(filter), ...trace.dropCapabilities()])
      log.warn(note);
    log.info(trace.description);
    const wanted = sieve(filter);
    const shows = wanted.asks ? wanted.shows : () => true;
    const model = new Model(monotonicNs(), { shows });
    const first = firstView({ by: args.by as TopGrouping, sort: args.sort, intervalMs });
    const quit = new AbortController();
    const common = {
      count,
      plain: !speaksUtf8(process.env),
      cost: costMeter(),
      clocks: readClocks,
      losses: () => loop.losses().all,
    };
    const isBatch = args.json === true || args.batch === true || args.noclear === true;
    await using live =
      isBatch || !isTerminal(STDOUT) || (process.env["TERM"] ?? "dumb") === "dumb"
        ? null
        : liveView({
            ...common,
            first,
            most: rows ?? MOST_ROWS,
            model,
            wanted: shows,
            parseFilter,
            quit: () => quit.abort(),
          });
    const batch = batchView({
      ...common,
      view: first,
      most: rows ?? USUAL_ROWS,
      columns: terminalColumns(STDOUT) ?? USUAL_COLUMNS,
      json: args.json === true,
      writer,
      readerGone: () => hasNoReader(STDOUT),
    });
    const view = live ?? batch;
    const top = topSink({ trace, model, nowNs: monotonicNs, ended: (tick) => view.show(tick) });
    const loop = openLoop({
      trace: top.trace,
      sink: together([
        top.sink,
        view.sink,
        ...(live === null ? [lossWarner((line) => log.warn(line))] : []),
      ]),
      clocks: readClocks,
      stop: AbortSignal.any([stop, quit.signal]),
      get intervalMs() {
        return live?.view.intervalMs ?? intervalMs;
      },
      readerFd: STDOUT,
    });
    // The connections that are open now are the base of the first interval.
    loop.poll();
    top.trace.sample();
    await loop.run();
    await live?.[Symbol.asyncDispose]();
    log.info(missingText(loop.losses().all, wanted.unsure));
    return exitCodes.done;
  },
});

// --- internal ---

const USUAL_ROWS = 20;
/** Further ones are counted, and found by sorting and filtering. */
const MOST_ROWS = 1_000;
/** Of a table that no terminal shows. */
const USUAL_COLUMNS = 120;
const MOST = 1_000_000;

function wholeOf(text: string, name: string, what: string): number {
  const value = wholeNumber(text, 1, MOST);
  if (value !== null) return value;
  throw new UsageError(`${name}: "${text}" is no ${what}`, {
    command: path,
    why: `it is a whole number from 1 to ${MOST}`,
  });
}

/** The flags of a filter that was typed: those of the command line, words apart by blanks. */
async function parseFilter(text: string): Promise<Filter> {
  let filter = noFilter;
  const typed = command({
    description: "",
    flags: connectionFlags,
    run: (args) => void (filter = filterOf({ ...args, events: undefined, failed: false }, path)),
  });
  const resolution = resolve(path, typed, text.split(/ +/));
  if (resolution.kind === "run") await typed.run!(resolution.args);
  return filter;
}

/** Whether the terminal shows characters beyond ASCII, as its locale says. */
function speaksUtf8({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test([LC_ALL, LC_CTYPE, LANG].find((value) => value) ?? "");
}
