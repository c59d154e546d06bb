import type { ArgDef } from "citty";
import type { ConnEvent } from "../conn/event.ts";
import { exitCodes } from "../errors.ts";
import { Expected, watchOf } from "../filter/expect.ts";
import { sieve } from "../filter/filter.ts";
import { siftingOf } from "../filter/sifting.ts";
import { localOffset } from "../kernel/local_time.ts";
import { log, tell, tellError } from "../log.ts";
import type { Namer } from "../names/named.ts";
import { columnLegend, failureLegend, signLegend } from "../output/legend.ts";
import { createWriter } from "../output/writer.ts";
import { telemetrySink } from "../sinks/telemetry.ts";
import { TelemetryCounts } from "../state/telemetry.ts";
import { renderings } from "../summary/render.ts";
import { Tally } from "../summary/tally.ts";
import { telemetryLosses, type LossCount } from "../trace/health/losses.ts";
import { command, titled } from "./command.ts";
import { expectationsOf, expectFlags, unmetTexts } from "./expect_flags.ts";
import { absent } from "./absent.ts";
import { tellsProtocol, filterFlags, filterOf, leftToAsk } from "./filter_flags.ts";
import {
  attachFlag,
  attachMode,
  debugFlag,
  parseCount,
  parseDuration,
  parseInterval,
  parseConnections,
} from "./flags.ts";
import { launch, watched } from "./launch.ts";
import { costText } from "./cost.ts";
import { follow, type Summary } from "./follow.ts";
import { lookFlags, looksOf } from "./looks.ts";
import { countText, lossText, missingText } from "./losses.ts";
import { metricsFlags, metricsWish } from "./metrics_flags.ts";
import { outputFlags, outputOf } from "./output.ts";
import { lineFile, lineFileFlag, openLineFile } from "./line_file.ts";
import { besideLines, recordFile, recordFlag, recordTrace, reopenRecording } from "./record.ts";
import { reopensAtHangup, takeNotifySocket, tellReady } from "./service.ts";
import { stopper } from "./stop.ts";

const STDOUT = 1;
const path = "tracer-bpf trace";

export const traceCommand = command({
  description:
    "print one line per TCP connect, accept, close and failed connect, and per UDP flow, of this host",
  examples: [
    `${path}`,
    `${path} --duration 10s --json`,
    `${path} --wide`,
    `${path} --pid 637 --port 443,8000-8100`,
    `${path} --tcp -4 --remoteport 5432 --raddr 10.0.0.0/8`,
    `${path} --failed`,
    `${path} --expect 'event==close,remote.port==443,bytes_received>0' --within 5s`,
    `${path} --output csv --count 100 > events.csv`,
    `${path} --offsets saved.json`,
    `${path} --metrics 127.0.0.1:9464`,
    `${path} --json -- curl -s http://localhost/`,
  ],
  legends: [columnLegend, failureLegend, signLegend],
  flags: {
    ...titled("how lines look", {
      ...outputFlags,
      args: {
        type: "boolean",
        description:
          "also show the command line of each process; JSON and CSV also its file and its parent",
      },
      resolve: {
        type: "boolean",
        alias: "r",
        description:
          "show names of remote addresses (as answers of DNS that are seen have them, behind ~; else asks the DNS) and of users",
      },
    }),
    ...titled("which events", filterFlags),
    ...titled("what is looked at besides", {
      interval: {
        type: "string",
        alias: "i",
        valueHint: "TIME",
        description:
          "also show, each time this has passed, the open connections and flows that have moved something: 1s, 50ms",
      },
      final: {
        type: "boolean",
        description:
          "also show, when the trace ends, what each connection and flow that is still open has moved",
      },
      ...lookFlags,
    }),
    ...titled("when it ends, and how", {
      duration: {
        type: "string",
        alias: "d",
        valueHint: "TIME",
        description: "stop after this time: 10s, 500ms, 2m, 1h; a plain number is seconds",
      },
      count: {
        type: "string",
        alias: "c",
        valueHint: "N",
        description: "stop after N events that are shown",
      },
      ...expectFlags,
      strict: { type: "boolean", description: "end with exit code 4 if events were lost" },
    }),
    ...titled("where it goes", {
      "output-file": lineFileFlag,
      record: recordFlag,
      ...metricsFlags,
      summary: {
        type: "boolean",
        description:
          "at the end, also sums by process on stderr, as the command summary prints them",
      },
    }),
    ...titled("how it traces", {
      attach: attachFlag,
      offsets: {
        type: "string",
        valueHint: "FILE",
        description: "use saved offsets if they are of the running kernel, else guess",
      },
      "udp-timeout": {
        type: "string",
        valueHint: "TIME",
        default: "30s",
        description: "end a UDP flow after this time of silence",
      },
      "udp-stream-timeout": {
        type: "string",
        valueHint: "TIME",
        default: "120s",
        description: "the same for a flow in which both ends have sent",
      },
      "max-connections": {
        type: "string",
        valueHint: "N",
        description: "follow at most N TCP connections and N UDP flows at once (default 65536)",
      },
    }),
    cmd: {
      type: "positional",
      required: false,
      behind: true,
      description:
        "run this command, and trace only the processes it leads to, until the command ends; its output goes to stderr; the tracer ends with its exit status (128 and the signal; 126 or 127 if it cannot be started)",
    } as ArgDef,
    debug: debugFlag,
  },
  async run(args) {
    const lines = lineFile(args["output-file"], path);
    const formatSince = outputOf(args, path, lines !== null);
    const wish = expectationsOf(args, path);
    const durationMs =
      wish?.withinMs ?? (args.duration === undefined ? null : parseDuration(args.duration, path));
    const [silentNs, assuredNs] = (["udp-timeout", "udp-stream-timeout"] as const).map((flag) =>
      BigInt(Math.round(parseDuration(args[flag], path, flag) * 1_000_000)),
    );
    const intervalMs = args.interval === undefined ? null : parseInterval(args.interval, path);
    const isFinal = args.final === true;
    const connections = args["max-connections"];
    const maxConnections = connections === undefined ? null : parseConnections(connections, path);
    const count = args.count === undefined ? null : parseCount(args.count, path);
    const record = recordFile(args.record, path);
    const filter = filterOf(args, path);
    const looks = looksOf(args, filter, path);
    const metricsAsked = metricsWish(args, path);
    // Before anything is traced or started: a stdout that is closed is told at once.
    await using file = lines === null ? null : await openLineFile(lines);
    const writer = file?.writer ?? createWriter();
    const manager = takeNotifySocket();
    const stop = stopper({ reopens: reopensAtHangup({ record, lines }, manager) });
    const command = args._;
    // Loaded here, so that --help and a wrong flag never touch the native library.
    const { openTrace } = await import("../trace/tracer.ts");
    const { readClocks } = await import("../kernel/clock.ts");
    const { hasNoReader } = await import("../kernel/libc.ts");
    const { ownCost } = await import("../kernel/own_cost.ts");
    using metrics =
      metricsAsked &&
      (await (
        await import("./metrics.ts")
      ).openMetrics(metricsAsked, intervalMs !== null, (line) => log.warn(line)));
    await using trace = await openTrace({
      attach: attachMode(args.attach),
      debug: args.debug === true,
      sampling: intervalMs !== null || isFinal || metrics !== null,
      // A part of the filter acts in the kernel; the sieve below decides by all of it.
      filter: { ...filter, descendants: command.length > 0 },
      timed: true,
      args: args.args === true,
      ...looks,
      protocolEvents: tellsProtocol(filter),
      answers: args.resolve === true,
      ...(maxConnections === null ? {} : { maxConnections }),
      flowTimeouts: { silentNs: silentNs!, assuredNs: assuredNs! },
      ...(args.offsets === undefined ? {} : { offsetsFile: args.offsets }),
    });
    using namer =
      args.resolve === true
        ? (await import("../names/named.ts")).openNamer((netns, address) =>
            trace.nameOf(netns, address),
          )
        : null;
    const launched = command.length === 0 || stop.signal.aborted ? null : launch(trace, command);
    const running = launched && watched();
    if (launched && running) stop.endWith(launched, running.drained);
    const clocks = readClocks();
    const wanted = sieve(leftToAsk(filter));
    // A name that is looked up is known of events alone.
    const sifting = wanted.asks && namer === null ? siftingOf(leftToAsk(filter)) : null;
    await using recorder = await recordTrace(record, trace, clocks);
    const expected = new Expected(wish?.expectations ?? []);
    const beside = besideLines(recorder, wish && watchOf(expected, wish.expectations));
    const format = formatSince(clocks.monoNs, trace.native, sifting, beside);
    const { header } = format;
    stop.reopenWith(() => {
      void file?.reopen(header);
      if (record !== null || file === null) void reopenRecording(record, recorder, readClocks);
    });
    const early = trace.notes.length;
    for (const note of [...trace.notes, ...absent(filter)]) log.warn(note);
    const tellMaps = () => {
      if (args.debug === true) for (const map of trace.maps()) log.debug(mapText(map));
    };
    tellMaps();
    let listed = false;
    trace.afterStock(() => {
      listed = true;
      // Last of what needs root: from here on nothing is started, and nothing is opened by its name but a renamed recording.
      for (const note of [...trace.notes.slice(early), ...trace.dropCapabilities()]) log.warn(note);
      log.info(trace.description);
      void tellReady(manager, trace.description);
    });
    for (const { level, text } of metrics?.notes ?? []) log[level](text);
    const begun = performance.now();
    const counts = new TelemetryCounts();
    const shows = named(wanted.shows, namer);
    // Samples for metrics alone are neither named nor counted as events that are not shown.
    const unseen = sieve(filter).shows;
    const tally = args.summary === true ? new Tally("process", SUMMARY_ROWS) : null;
    const summary = await follow({
      trace,
      watching: [
        ...(args.debug === true ? [telemetrySink(counts)] : []),
        ...(running === null ? [] : [running.sink]),
      ],
      // A file that is added to has its header already.
      format: file === null || file.isEmpty ? format : { ...format, header: null },
      writer,
      ...(file === null && { readerFd: STDOUT, readerGone: () => hasNoReader(STDOUT) }),
      recorder,
      clocks: readClocks,
      durationMs,
      count,
      intervalMs,
      final: isFinal,
      ...((wanted.asks || namer !== null) && {
        shows:
          metrics !== null && intervalMs === null && !isFinal ? unlessSample(shows, unseen) : shows,
      }),
      exporter: metrics,
      ...(wish === null ? {} : { expected }),
      tally,
      stop: stop.signal,
      warn: (line) => log.warn(line),
    });
    if (!listed) log.info(trace.description);
    tellMaps();
    if (args.debug === true) log.debug(telemetryText(counts, trace.losses()));
    const ms = performance.now() - begun;
    if (!summary.readerLeft) {
      if (tally !== null) tell(summaryText(tally));
      log.info(describe(summary, ms, wanted.unsure));
      for (const counted of trace.counts()) log.info(countText(counted));
      log.info(costText(ownCost(), trace.kernelTime()));
    }
    const lost = summary.losses.length === 0 ? null : lossText(summary.losses);
    for (const text of unmetTexts(expected, ms, lost)) tellError(text);
    // The trace may have ended before it, by --duration, --count or --expect.
    if (launched !== null) await trace[Symbol.asyncDispose]();
    const status = (await launched?.ended) ?? exitCodes.done;
    if (recorder !== null && recorder.failure !== null) throw recorder.failure;
    if (status !== exitCodes.done) return status;
    if (!expected.met) return exitCodes.failure;
    return args.strict === true && lost !== null ? exitCodes.lost : exitCodes.done;
  },
});

/** Of each of its tables. */
const SUMMARY_ROWS = 10;

const summaryText = (tally: Tally): string =>
  renderings.table(tally.summary(), { most: SUMMARY_ROWS, offsetAt: localOffset, losses: [] });

/** Names are asked for only of what is shown. */
function named(shows: (event: ConnEvent) => boolean, namer: Namer | null) {
  if (namer === null) return shows;
  return (event: ConnEvent): boolean => {
    if (!shows(event)) return false;
    namer.name(event);
    return true;
  };
}

const unlessSample =
  (shows: (event: ConnEvent) => boolean, ofSamples: (event: ConnEvent) => boolean) =>
  (event: ConnEvent): boolean =>
    event.kind === "sample" ? ofSamples(event) : shows(event);

/** The command keeps no connections, so it does not know of ends that are told again. */
function telemetryText(counts: TelemetryCounts, losses: LossCount[]): string {
  const telemetry = counts.telemetry({
    repeatedCloses: 0n,
    repeatedFailures: 0n,
    datagramsSent: counts.datagramsSent,
    ...telemetryLosses(losses),
  });
  const texts = Object.entries(telemetry).map(([name, count]) => `${name} ${count}`);
  return `telemetry: ${texts.join(", ")}`;
}

const mapText = ({ name, entries, max }: { name: string; entries: number; max: number }): string =>
  `map ${name}: ${entries} of ${max}`;

function describe({ shown, losses }: Summary, ms: number, unsure: number): string {
  const seconds = (ms / 1000).toFixed(1);
  return `${shown} event${shown === 1 ? "" : "s"} in ${seconds} s, ${missingText(losses, unsure)}`;
}
