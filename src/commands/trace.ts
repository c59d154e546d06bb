import { exitCodes } from "../errors.ts";
import { log } from "../log.ts";
import { createWriter } from "../output/writer.ts";
import { TelemetryCounts } from "../state/telemetry.ts";
import { telemetryLosses, type LossCount } from "../trace/losses.ts";
import type { Trace } from "../trace/tracer.ts";
import { command } from "./command.ts";
import {
  attachFlag,
  attachMode,
  debugFlag,
  parseCount,
  parseDuration,
  parseInterval,
  parseConnections,
} from "./flags.ts";
import { costText } from "./cost.ts";
import { follow, type Summary } from "./follow.ts";
import { lossText } from "./losses.ts";
import { outputFlags, outputOf } from "./output.ts";
import { recordFile, recordFlag, recordTrace } from "./record.ts";
import { stopSignal } from "./stop.ts";

const path = "tracer-bpf trace";

export const traceCommand = command({
  description:
    "print one line per TCP connect, accept, close and failed connect, and per UDP flow, of this host",
  examples: [
    `${path}`,
    `${path} --duration 10s --json`,
    `${path} --wide`,
    `${path} --output csv --count 100 > events.csv`,
    `${path} --offsets saved.json`,
  ],
  flags: {
    ...outputFlags,
    duration: {
      type: "string",
      alias: "d",
      valueHint: "TIME",
      description: "stop after this time: 10s, 500ms, 2m, 1h; a plain number is seconds",
    },
    count: { type: "string", alias: "c", valueHint: "N", description: "stop after N events" },
    interval: {
      type: "string",
      alias: "i",
      valueHint: "TIME",
      description: "also show open connections that have moved something, so often: 1s, 50ms",
    },
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
      description: "a UDP flow that is silent for so long is over",
    },
    "udp-stream-timeout": {
      type: "string",
      valueHint: "TIME",
      default: "120s",
      description: "the same where both ends have been heard",
    },
    "max-connections": {
      type: "string",
      valueHint: "N",
      description: "follow at most so many at once, of TCP and of UDP (default 65536)",
    },
    record: recordFlag,
    strict: { type: "boolean", description: "end with exit code 4 if events were lost" },
    debug: debugFlag,
  },
  async run(args) {
    const formatSince = outputOf(args, path);
    const durationMs = args.duration === undefined ? null : parseDuration(args.duration, path);
    const [silentNs, assuredNs] = (["udp-timeout", "udp-stream-timeout"] as const).map((flag) =>
      BigInt(Math.round(parseDuration(args[flag], path, flag) * 1_000_000)),
    );
    const intervalMs = args.interval === undefined ? null : parseInterval(args.interval, path);
    const connections = args["max-connections"];
    const maxConnections = connections === undefined ? null : parseConnections(connections, path);
    const count = args.count === undefined ? null : parseCount(args.count, path);
    const record = recordFile(args.record, path);
    const stop = stopSignal();
    // Loaded here, so that --help and a wrong flag never touch the native library.
    const { openTrace } = await import("../trace/tracer.ts");
    const { readClocks } = await import("../kernel/clock.ts");
    const { ownCost } = await import("../kernel/own_cost.ts");
    await using trace = await openTrace({
      attach: attachMode(args.attach),
      debug: args.debug === true,
      sampling: intervalMs !== null,
      timed: true,
      ...(maxConnections === null ? {} : { maxConnections }),
      flowTimeouts: { silentNs: silentNs!, assuredNs: assuredNs! },
      ...(args.offsets === undefined ? {} : { offsetsFile: args.offsets }),
    });
    const clocks = readClocks();
    const format = formatSince(clocks.monoNs);
    await using recorder = await recordTrace(record, trace, clocks);
    for (const note of trace.notes) log.warn(note);
    const tellMaps = () => {
      if (args.debug === true) for (const map of trace.maps()) log.debug(mapText(map));
    };
    tellMaps();
    log.info(trace.description);
    const begun = performance.now();
    const counts = new TelemetryCounts();
    const summary = await follow({
      trace: args.debug === true ? counted(trace, counts) : trace,
      format,
      writer: createWriter(),
      recorder,
      clocks: readClocks,
      durationMs,
      count,
      intervalMs,
      stop,
      warn: (line) => log.warn(line),
    });
    tellMaps();
    if (args.debug === true) log.debug(telemetryText(counts, trace.losses()));
    if (!summary.readerLeft) {
      log.info(describe(summary, performance.now() - begun));
      log.info(costText(ownCost(), trace.kernelTime()));
    }
    if (recorder !== null && recorder.failure !== null) throw recorder.failure;
    return args.strict === true && summary.losses.length > 0 ? exitCodes.lost : exitCodes.done;
  },
});

/** The same trace, what it gives counted. */
function counted(trace: Trace, counts: TelemetryCounts): Pick<Trace, "poll" | "sample" | "losses"> {
  return {
    ...trace,
    poll(last) {
      const events = trace.poll(last);
      for (const event of events) counts.observe(event);
      return events;
    },
  };
}

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

function describe({ shown, losses }: Summary, ms: number): string {
  const lost = losses.length === 0 ? "none lost" : `lost ${lossText(losses)}`;
  return `${shown} event${shown === 1 ? "" : "s"} in ${(ms / 1000).toFixed(1)} s, ${lost}`;
}
