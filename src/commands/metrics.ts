/** The metrics of a trace: counted as its events come, told to whoever asks, and written to a file now and then. */
import { release } from "node:os";
import { version } from "../../package.json";
import { parsePortRange } from "../conn/direction.ts";
import { Failure } from "../errors.ts";
import { isLoopback, placeText, serveMetrics, type Page } from "../export/http.ts";
import { textFile } from "../export/textfile.ts";
import { ownCost } from "../kernel/own_cost.ts";
import { localPortRange } from "../kernel/namespaces.ts";
import { EventCounts } from "../metrics/count.ts";
import { withHealth } from "../metrics/health.ts";
import { CONTENT_TYPE, prometheusText } from "../metrics/prometheus.ts";
import type { Family } from "../metrics/series.ts";
import { metricsSink } from "../sinks/metrics.ts";
import type { Sink } from "../sinks/sink.ts";
import { together } from "../sinks/together.ts";
import { withoutSamples, type Exporter, type Fresh } from "./follow.ts";
import type { MetricsWish } from "./metrics_flags.ts";

export interface Metrics extends Exporter, Disposable {
  /** For the user, once the trace runs. */
  readonly notes: readonly { level: "info" | "warn"; text: string }[];
}

/** Nobody pays for more than one reading of all connections in this time, however often metrics are asked for. */
const FRESH_MS = 1_000;
/** The usual interval of scrapes. */
const WRITE_MS = 15_000;

/** `isAsked`: samples are shown. Listens from here on; whoever asks before the trace has begun gets the metrics of nothing. Throws a Failure. */
export async function openMetrics(
  { listen, file, otlp, labels }: MetricsWish,
  isAsked: boolean,
  warn: (line: string) => void,
): Promise<Metrics> {
  const ephemeral = parsePortRange(localPortRange());
  const counts = new EventCounts({ labels, ...(ephemeral && { ephemeral }) });
  const sent = otlp === null ? null : await (await import("./otlp.ts")).openOtlp(otlp, warn);
  const beganMs = Date.now();
  let fresh: Fresh | null = null;
  let page: Page = { type: CONTENT_TYPE, body: new Uint8Array() };
  let pageAt = -Infinity;
  let running = true;
  /** The file is written for the first time. */
  let isTried = true;

  const families = (): Family[] => {
    const losses = fresh?.losses() ?? [];
    const cpuSeconds = ownCost().cpuUs / 1e6;
    const startSeconds = Math.floor(beganMs / 1000);
    const health = { losses, running, startSeconds, cpuSeconds, version, kernel: release() };
    return withHealth(counts.families(), counts.series, health);
  };
  /** The text as of now, or of less than a second ago. */
  const current = (): Page => {
    if (performance.now() - pageAt < FRESH_MS) return page;
    if (running) fresh?.poll();
    page = { type: CONTENT_TYPE, body: Buffer.from(prometheusText(families())) };
    pageAt = performance.now();
    return page;
  };

  const server = listen === null ? null : serveMetrics(listen, current);
  const place = listen && { ...listen, port: server!.port };
  const written =
    file === null
      ? null
      : textFile(file, (failure) => {
          // The first failure ends the trace.
          if (isTried) return;
          warn(
            failure === null
              ? `${file}: is written again`
              : `${failure.message}: ${failure.why}; tried again every ${WRITE_MS / 1000} s, tracing goes on`,
          );
        });
  const timers: ReturnType<typeof setInterval>[] = [];
  const stop = () => {
    server?.[Symbol.dispose]();
    for (const timer of timers) clearInterval(timer);
  };

  const own: Sink = {
    ...metricsSink(counts),
    async end() {
      running = false;
      stop();
      sent?.metrics(families(), beganMs);
      if (written === null) return;
      await written.write(prometheusText(families()));
      if (written.failure !== null) throw written.failure;
    },
  };
  const logged = sent === null ? [] : [isAsked ? sent.sink : withoutSamples(sent.sink)];
  return {
    sink: together([own, ...logged]),
    notes: notesOf(place),
    gone: (events) => counts.drop(events),
    async begin(given) {
      fresh = given;
      if (sent !== null)
        timers.push(
          setInterval(() => (current(), sent.metrics(families(), beganMs)), sent.everyMs),
        );
      if (written === null) return;
      await written.write(prometheusText(families()));
      if (written.failure !== null) throw cannotWrite(written.failure);
      isTried = false;
      const write = () => {
        if (!written.busy) void written.write(Buffer.from(current().body).toString());
      };
      timers.push(setInterval(write, WRITE_MS));
    },
    [Symbol.dispose]: stop,
  };
}

// --- internal ---

function notesOf(place: { address: string; port: number } | null): Metrics["notes"] {
  if (place === null) return [];
  const text = `metrics at http://${placeText(place)}/metrics`;
  if (isLoopback(place.address)) return [{ level: "info", text }];
  return [
    {
      level: "warn",
      text: `${text}: whoever reaches this address reads them, there is no password and no encryption`,
    },
  ];
}

/** By then most of root's rights are given up. */
function cannotWrite(failure: Failure): Failure {
  const code = (failure.cause as NodeJS.ErrnoException | undefined)?.code;
  if (code !== "EACCES" && code !== "EPERM") return failure;
  return new Failure(failure.message, {
    why: `${failure.why}; a trace has no right to write into directories of other users`,
    hint: "choose a directory that belongs to root",
    cause: failure,
  });
}
