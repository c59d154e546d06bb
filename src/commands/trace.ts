import { exitCodes } from "../errors.ts";
import { Expected } from "../filter/expect.ts";
import { sieve } from "../filter/filter.ts";
import { log, tellError } from "../log.ts";
import { createWriter } from "../output/writer.ts";
import { TelemetryCounts } from "../state/telemetry.ts";
import { telemetryLosses, type LossCount } from "../trace/losses.ts";
import type { Trace } from "../trace/tracer.ts";
import { command } from "./command.ts";
import { expectationsOf, expectFlags, unmetTexts } from "./expect_flags.ts";
import { filterFlags, filterOf } from "./filter_flags.ts";
import {
  attachFlag,
  attachMode,
  debugFlag,
  parseCount,
  parseDuration,
  parseInterval,
  parseConnections,
} from "./flags.ts";
import { follow, lossText, type Summary } from "./follow.ts";
import { outputFlags, outputOf } from "./output.ts";

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
  ],
  flags: {
    ...outputFlags,
    ...filterFlags,
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
    interval: {
      type: "string",
      alias: "i",
      valueHint: "TIME",
      description:
        "also show open connections and flows that have moved something, so often: 1s, 50ms",
    },
    ...expectFlags,
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
    strict: { type: "boolean", description: "end with exit code 4 if events were lost" },
    debug: debugFlag,
  },
  async run(args) {
    const formatSince = outputOf(args, path);
    const wish = expectationsOf(args, path);
    const durationMs =
      wish?.withinMs ?? (args.duration === undefined ? null : parseDuration(args.duration, path));
    const [silentNs, assuredNs] = (["udp-timeout", "udp-stream-timeout"] as const).map((flag) =>
      BigInt(Math.round(parseDuration(args[flag], path, flag) * 1_000_000)),
    );
    const intervalMs = args.interval === undefined ? null : parseInterval(args.interval, path);
    const connections = args["max-connections"];
    const maxConnections = connections === undefined ? null : parseConnections(connections, path);
    const count = args.count === undefined ? null : parseCount(args.count, path);
    const filter = filterOf(args, path);
    const stop = stopSignal();
    // Loaded here, so that --help and a wrong flag never touch the native library.
    const { openTrace } = await import("../trace/tracer.ts");
    const { readClocks } = await import("../kernel/clock.ts");
    await using trace = await openTrace({
      attach: attachMode(args.attach),
      debug: args.debug === true,
      sampling: intervalMs !== null,
      ...(maxConnections === null ? {} : { maxConnections }),
      flowTimeouts: { silentNs: silentNs!, assuredNs: assuredNs! },
      ...(args.offsets === undefined ? {} : { offsetsFile: args.offsets }),
      // Here goes what of `filter` can act in the kernel; the sieve below keeps to all of it.
    });
    const format = formatSince(readClocks().monoNs);
    for (const note of trace.notes) log.warn(note);
    const tellMaps = () => {
      if (args.debug === true) for (const map of trace.maps()) log.debug(mapText(map));
    };
    tellMaps();
    log.info(trace.description);
    const begun = performance.now();
    const counts = new TelemetryCounts();
    const wanted = sieve(filter);
    const expected = new Expected(wish?.expectations ?? []);
    const summary = await follow({
      trace: args.debug === true ? counted(trace, counts) : trace,
      format,
      writer: createWriter(),
      clocks: readClocks,
      durationMs,
      count,
      intervalMs,
      ...(wanted.asks && { shows: wanted.shows }),
      ...(wish === null ? {} : { expected }),
      stop,
      warn: (line) => log.warn(line),
    });
    tellMaps();
    if (args.debug === true) log.debug(telemetryText(counts, trace.losses()));
    const ms = performance.now() - begun;
    if (!summary.readerLeft) log.info(describe(summary, ms, wanted.unsure));
    const lost = summary.losses.length === 0 ? null : lossText(summary.losses);
    for (const text of unmetTexts(expected, ms, lost)) tellError(text);
    if (!expected.met) return exitCodes.failure;
    return args.strict === true && summary.losses.length > 0 ? exitCodes.lost : exitCodes.done;
  },
});

/** The same trace, what it gives counted. */
function counted(
  trace: Trace,
  counts: TelemetryCounts,
): Pick<Trace, "poll" | "sample" | "losses" | "rest"> {
  // Not pollInto, which would show records that nobody has counted.
  return {
    sample: () => trace.sample(),
    losses: () => trace.losses(),
    rest: (leastMs, mostMs) => trace.rest(leastMs, mostMs),
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

function describe({ shown, losses }: Summary, ms: number, unsure: number): string {
  const lost = losses.length === 0 ? "none lost" : `lost ${lossText(losses)}`;
  const more =
    unsure === 0
      ? ""
      : `; ${unsure} not shown, because what the filter asks for is not known of them`;
  return `${shown} event${shown === 1 ? "" : "s"} in ${(ms / 1000).toFixed(1)} s, ${lost}${more}`;
}

/** Aborted by the first SIGINT or SIGTERM. The second one finds no handler and ends the process at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const signals = ["SIGINT", "SIGTERM"] as const;
  const onSignal = () => {
    for (const signal of signals) process.off(signal, onSignal);
    controller.abort();
  };
  for (const signal of signals) process.on(signal, onSignal);
  return controller.signal;
}
