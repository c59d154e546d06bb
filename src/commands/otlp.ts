/** `trace --otlp`: what is read from the host for it, and its sink. */
import { hostname } from "node:os";
import { version } from "../../package.json";
import { otlpSender } from "../export/otlp.ts";
import { otlpOptions } from "../export/otlp_options.ts";
import { fails } from "../file.ts";
import { promises } from "../later.ts";
import { metricData } from "../metrics/otlp.ts";
import type { Family } from "../metrics/series.ts";
import { otlpSink } from "../sinks/otlp.ts";
import type { Sink } from "../sinks/sink.ts";

export interface Otlp {
  sink: Sink;
  metrics(families: readonly Family[], beganMs: number): void;
  everyMs: number;
}

/** Reads the files of TLS now, while root's rights are there. Throws a Failure. */
export async function openOtlp(url: string, warn: (line: string) => void): Promise<Otlp> {
  const options = otlpOptions(url, process.env, { name: hostname(), version });
  const { readFile } = promises();
  const files: Record<string, string> = {};
  for (const [name, path] of Object.entries(options.tls))
    if (path !== null) files[name] = await readFile(path, "utf8").catch(fails(path));
  const sender = otlpSender({ ...options, files }, version, warn);
  const now = () => BigInt(Date.now()) * 1_000_000n;
  return {
    sink: otlpSink(sender, now),
    metrics: (families, beganMs) =>
      sender.metrics(metricData(families, BigInt(beganMs) * 1_000_000n, now())),
    everyMs: options.metricsEveryMs,
  };
}
