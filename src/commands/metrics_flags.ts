/** The flags that say where metrics go, and their values. Pure. */
import { UsageError } from "../errors.ts";
import { ipVersion } from "../later.ts";
import { labelNames, labels, usualLabels, type LabelName } from "../metrics/labels.ts";
import { namedFile } from "./flags.ts";
import { wholeNumber } from "./wrong.ts";

const DEFAULT_PORT = 9464;
const LOOPBACK = "127.0.0.1";

export const metricsFlags = {
  metrics: {
    type: "string",
    valueHint: "ADDRESS:PORT",
    description: `answer Prometheus at http://ADDRESS:PORT/metrics; a PORT alone is of ${LOOPBACK}`,
  },
  "metrics-file": {
    type: "string",
    valueHint: "FILE.prom",
    description:
      "write metrics to FILE.prom every 15 s, for the textfile collector of the node exporter; the file stays at the end",
  },
  otlp: {
    type: "string",
    valueHint: "URL",
    description:
      "send each event as a log record, and metrics, to a receiver of OTLP by HTTP: http://127.0.0.1:4318; the usual OTEL_EXPORTER_OTLP_... variables act",
  },
  "metrics-labels": {
    type: "string",
    valueHint: "LIST",
    description: `labels of the metrics (${usualLabels.join(",")} if not given); also: ${labelNames.filter((name) => !labels[name].usual).join(", ")}`,
  },
} as const;

export interface MetricsArgs {
  metrics?: string | undefined;
  "metrics-file"?: string | undefined;
  otlp?: string | undefined;
  "metrics-labels"?: string | undefined;
}

export interface MetricsWish {
  listen: { address: string; port: number } | null;
  file: string | null;
  /** The base URL. */
  otlp: string | null;
  labels: ReadonlySet<LabelName>;
}

/** `null`: no metrics are wanted. */
export function metricsWish(args: MetricsArgs, command: string): MetricsWish | null {
  const { metrics, "metrics-file": file, otlp, "metrics-labels": chosen } = args;
  if (metrics === undefined && file === undefined && otlp === undefined) {
    if (chosen === undefined) return null;
    throw new UsageError("flag --metrics-labels: there are no metrics", {
      command,
      suggestion: `--metrics ${DEFAULT_PORT} or --metrics-file FILE.prom or --otlp URL as well`,
    });
  }
  return {
    listen: metrics === undefined ? null : parsePlace(metrics, command),
    file: file === undefined ? null : parseFile(file, command),
    otlp: otlp === undefined ? null : parseUrl(otlp, command),
    labels: new Set(chosen === undefined ? usualLabels : parseLabels(chosen, command)),
  };
}

/** `127.0.0.1:9464`, `[::1]:9464`, `9464`, `:9464`, `localhost`. Names are not looked up. */
export function parsePlace(text: string, command: string): { address: string; port: number } {
  const [, bracketed, plain, digits] =
    /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):?)?(?:(?<=:|^)(\d+))?$/.exec(
      /^\d+$/.test(text) ? `:${text}` : text,
    ) ?? [];
  const named = bracketed ?? plain ?? text;
  const address = named === "" || named === "localhost" ? LOOPBACK : named;
  const port = digits === undefined ? DEFAULT_PORT : wholeNumber(digits, 0, 65_535);
  const isAddress = ipVersion(address) === (bracketed === undefined ? 4 : 6);
  if (isAddress && port !== null && text !== "" && !text.endsWith(":")) return { address, port };
  throw new UsageError(`flag --metrics: "${text}" is no address and port`, {
    command,
    why: !isAddress
      ? ipVersion(text) === 6
        ? "an IPv6 address stands in brackets"
        : "it is a number, or an address of this host and a number"
      : "the port is a number from 1 to 65535",
    suggestion:
      ipVersion(text) === 6
        ? `--metrics '[${text}]:${DEFAULT_PORT}'`
        : `--metrics ${LOOPBACK}:${DEFAULT_PORT}`,
  });
}

// --- internal ---

function parseFile(file: string, command: string): string {
  namedFile(file, { flag: "metrics-file", command, instead: "--metrics-file FILE.prom" });
  if (file.endsWith(".prom")) return file;
  throw new UsageError(`flag --metrics-file: "${file}" does not end in .prom`, {
    command,
    why: "the node exporter reads no other files",
    suggestion: `--metrics-file ${file}.prom`,
  });
}

function parseUrl(text: string, command: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isHttp = url !== null && /^https?:$/.test(url.protocol);
  if (isHttp && url.username + url.password + url.search + url.hash === "")
    return url.href.replace(/\/$/, "");
  throw new UsageError(
    isHttp ? "flag --otlp: the URL has too much" : `flag --otlp: "${text}" is no URL of HTTP`,
    {
      command,
      why: isHttp
        ? "it is a host, a port and a path; a password stands in OTEL_EXPORTER_OTLP_HEADERS"
        : "it begins with http:// or https://",
      suggestion: "--otlp http://127.0.0.1:4318",
    },
  );
}

function parseLabels(text: string, command: string): LabelName[] {
  return text.split(",").map((word) => {
    const found = labelNames.find((name) => name === word.trim());
    if (found !== undefined) return found;
    throw new UsageError(`flag --metrics-labels: there is no label "${word}"`, {
      command,
      why: `the labels are ${labelNames.join(", ")}`,
      suggestion: `--metrics-labels ${usualLabels.join(",")}`,
    });
  });
}
