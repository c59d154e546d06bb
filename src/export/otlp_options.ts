/** The variables OTEL_EXPORTER_OTLP_... and their like, as the OpenTelemetry specification has them. Pure. */
import { Failure } from "../errors.ts";

export type Signal = "logs" | "metrics";

export interface OtlpOptions {
  urls: Record<Signal, string>;
  headers: Record<Signal, Record<string, string>>;
  timeoutMs: number;
  gzip: boolean;
  /** Of the service that the receiver shows. */
  resource: Record<string, string>;
  metricsEveryMs: number;
  /** Files in the form PEM. */
  tls: { ca: string | null; cert: string | null; key: string | null };
}

/** Variables that act with --otlp, and what they do; docs/security.md lists them. To add one, add a row, and read it below. */
export const otlpVariables = [
  "OTEL_EXPORTER_OTLP_HEADERS",
  "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
  "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
  "OTEL_EXPORTER_OTLP_TIMEOUT",
  "OTEL_EXPORTER_OTLP_COMPRESSION",
  "OTEL_EXPORTER_OTLP_CERTIFICATE",
  "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
  "OTEL_EXPORTER_OTLP_CLIENT_KEY",
  "OTEL_METRIC_EXPORT_INTERVAL",
  "OTEL_SERVICE_NAME",
  "OTEL_RESOURCE_ATTRIBUTES",
] as const;

type Variable = (typeof otlpVariables)[number];
export type OtlpEnvironment = Readonly<Record<string, string | undefined>>;

const TIMEOUT_MS = 10_000;
const METRICS_EVERY_MS = 15_000;

/** Throws a Failure that names the variable. */
export function otlpOptions(
  base: string,
  environment: OtlpEnvironment,
  host: { name: string; version: string },
): OtlpOptions {
  const of = (name: Variable): string | null => environment[name]?.trim() || null;
  const shared = pairsOf(of("OTEL_EXPORTER_OTLP_HEADERS"), "OTEL_EXPORTER_OTLP_HEADERS");
  const headers = (name: Variable) => ({ ...shared, ...pairsOf(of(name), name) });
  const compression = of("OTEL_EXPORTER_OTLP_COMPRESSION") ?? "none";
  if (!["none", "gzip"].includes(compression))
    throw wrong("OTEL_EXPORTER_OTLP_COMPRESSION", "it is none or gzip");
  const attributes = pairsOf(of("OTEL_RESOURCE_ATTRIBUTES"), "OTEL_RESOURCE_ATTRIBUTES");
  const service = of("OTEL_SERVICE_NAME");
  const root = base.replace(/\/$/, "");
  return {
    urls: { logs: `${root}/v1/logs`, metrics: `${root}/v1/metrics` },
    headers: {
      logs: headers("OTEL_EXPORTER_OTLP_LOGS_HEADERS"),
      metrics: headers("OTEL_EXPORTER_OTLP_METRICS_HEADERS"),
    },
    timeoutMs: msOf(of("OTEL_EXPORTER_OTLP_TIMEOUT"), "OTEL_EXPORTER_OTLP_TIMEOUT") ?? TIMEOUT_MS,
    gzip: compression === "gzip",
    resource: {
      "service.name": "tracer-bpf",
      "service.version": host.version,
      "host.name": host.name,
      ...attributes,
      ...(service === null ? {} : { "service.name": service }),
    },
    metricsEveryMs:
      msOf(of("OTEL_METRIC_EXPORT_INTERVAL"), "OTEL_METRIC_EXPORT_INTERVAL") ?? METRICS_EVERY_MS,
    tls: {
      ca: of("OTEL_EXPORTER_OTLP_CERTIFICATE"),
      cert: of("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
      key: of("OTEL_EXPORTER_OTLP_CLIENT_KEY"),
    },
  };
}

// --- internal ---

/** `name=value,name2=value2`, both percent-encoded. */
function pairsOf(text: string | null, variable: Variable): Record<string, string> {
  if (text === null) return {};
  const pairs = text.split(",").map((pair) => {
    const at = pair.indexOf("=");
    const name = pair.slice(0, at).trim();
    if (at < 1 || name === "") throw wrong(variable, "it is name=value, with commas between pairs");
    try {
      return [decodeURIComponent(name), decodeURIComponent(pair.slice(at + 1).trim())];
    } catch {
      throw wrong(variable, `the value of ${name} is not percent-encoded`);
    }
  });
  return Object.fromEntries(pairs) as Record<string, string>;
}

function msOf(text: string | null, variable: Variable): number | null {
  if (text === null) return null;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (ms < 100) throw wrong(variable, "it is a number of milliseconds, 100 or more");
  return ms;
}

/** The value may be a secret. */
const wrong = (variable: Variable, why: string): Failure =>
  new Failure(`${variable} in the environment: its value cannot be used`, {
    why,
    hint: `correct ${variable}, or unset it`,
  });
