/**
 * Sends logs and metrics to a receiver of OTLP by HTTP and protobuf. The trace never waits for the receiver: logs wait in a
 * queue with a bound, beyond which they are counted as lost. Of metrics only the newest wait, since they are totals.
 */
import { ProtobufLogsSerializer, ProtobufMetricsSerializer } from "@opentelemetry/otlp-transformer";
import type { LogRecord, MetricData } from "../metrics/otlp.ts";
import type { OtlpOptions, Signal } from "./otlp_options.ts";

export interface OtlpLimits {
  /** Of the batches that wait. */
  queueBytes: number;
  /** Of the first pause after a failure; each further one is twice as long. */
  firstPauseMs: number;
  longestPauseMs: number;
  /** At the end, for all that waits. */
  lastMs: number;
}

export interface OtlpSender {
  log(record: LogRecord): void;
  /** Sends what has been logged so far. */
  flush(): void;
  metrics(data: readonly MetricData[]): void;
  /** Events that have been logged and are not sent yet. */
  readonly pending: number;
  /** Events that the receiver did not get: no room, refused, rejected; after the end, all that are not sent. */
  readonly lost: bigint;
  /** Sends what waits, but not for longer than `lastMs`. */
  end(): Promise<void>;
}

const LIMITS: OtlpLimits = {
  queueBytes: 16 << 20,
  firstPauseMs: 1_000,
  longestPauseMs: 30_000,
  lastMs: 5_000,
};

/** Events of one request. */
const REQUEST_EVENTS = 512;
/** Answers of receivers are short. */
const ANSWER_BYTES = 64 << 10;

interface Batch {
  signal: Signal;
  bytes: Uint8Array<ArrayBuffer>;
  events: number;
}

/** `tell` gets one line when sending begins to fail or works again, and one for each new reason to refuse. */
export function otlpSender(
  options: OtlpOptions & { files: { ca?: string; cert?: string; key?: string } },
  version: string,
  tell: (line: string) => void,
  limits: OtlpLimits = LIMITS,
): OtlpSender {
  const scope = { name: "tracer-bpf", version };
  const resource = { attributes: options.resource };
  const logs: Batch[] = [];
  let newest: Batch | null = null;
  let records: LogRecord[] = [];
  let queued = 0;
  let waiting = 0;
  let lost = 0n;
  let failing = false;
  let refusal = "";
  let sending: Promise<void> | null = null;
  let over = false;
  let ending = false;
  let wake = (): void => {};
  const stop = new AbortController();

  function flush(): void {
    if (records.length === 0) return;
    const serialized = ProtobufLogsSerializer.serializeRequest(
      records.map((record) => ({ ...record, resource, instrumentationScope: scope })) as never,
    )!;
    add({ signal: "logs", bytes: packed(serialized), events: records.length });
    records = [];
  }
  const packed = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
    const own = new Uint8Array(bytes);
    return options.gzip ? Bun.gzipSync(own) : own;
  };
  function add(batch: Batch): void {
    if (queued + batch.bytes.length > limits.queueBytes) {
      lost += BigInt(batch.events);
      return;
    }
    logs.push(batch);
    queued += batch.bytes.length;
    waiting += batch.events;
    begin();
  }
  function begin(): void {
    if (over) return;
    sending ??= sendAll().finally(() => (sending = null));
  }
  async function sendAll(): Promise<void> {
    let pauseMs = limits.firstPauseMs;
    for (;;) {
      const batch = newest ?? logs[0];
      if (batch === undefined) return;
      const outcome = await send(batch);
      if (over) return;
      if (outcome.again !== null) {
        told(outcome.again.why);
        // The next totals are newer, so logs need not wait for these.
        if (batch.signal === "metrics") {
          remove(batch);
          continue;
        }
        await pause(Math.max(pauseMs * (0.75 + Math.random() / 2), outcome.again.afterMs));
        pauseMs = Math.min(pauseMs * 2, limits.longestPauseMs);
        if (over) return;
        continue;
      }
      pauseMs = limits.firstPauseMs;
      if (failing && outcome.refused === null)
        tell(`--otlp: ${options.urls.logs}: is sent to again`);
      if (outcome.refused === null) failing = false;
      else refusedFor(outcome.refused);
      remove(batch);
      lost += BigInt(outcome.rejected);
    }
  }
  function remove(batch: Batch): void {
    if (batch === newest) newest = null;
    if (batch.signal !== "logs") return;
    logs.shift();
    queued -= batch.bytes.length;
    waiting -= batch.events;
  }
  function told(why: string): void {
    if (!failing)
      tell(
        `--otlp: cannot send: ${why}; tried again, and what has no room meanwhile is counted as lost`,
      );
    failing = true;
  }
  function refusedFor(why: string): void {
    if (why !== refusal) tell(`--otlp: the receiver refuses: ${why}`);
    refusal = why;
  }
  /** The end cuts pauses short. */
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ending ? Math.min(ms, limits.firstPauseMs / 4) : ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  async function send({ signal, bytes, events }: Batch): Promise<Outcome> {
    const url = options.urls[signal];
    try {
      const response = await fetch(url, {
        method: "POST",
        body: bytes,
        redirect: "manual",
        headers: {
          ...options.headers[signal],
          "Content-Type": "application/x-protobuf",
          "User-Agent": `tracer-bpf/${version}`,
          ...(options.gzip ? { "Content-Encoding": "gzip" } : {}),
        },
        signal: AbortSignal.any([AbortSignal.timeout(options.timeoutMs), stop.signal]),
        ...(Object.keys(options.files).length > 0 && { tls: options.files }),
      });
      const answer = await startOf(response);
      if (response.ok) return { again: null, ...rejectedBy(signal, answer) };
      const why = `${url} answers ${response.status}`;
      if (RETRIED.has(response.status))
        return { again: { why, afterMs: afterMs(response) }, refused: null, rejected: 0 };
      return { again: null, refused: why, rejected: events };
    } catch (error) {
      return {
        again: { why: `${url}: ${sayingOf(error)}`, afterMs: 0 },
        refused: null,
        rejected: 0,
      };
    }
  }

  return {
    log(record) {
      records.push(record);
      if (records.length >= REQUEST_EVENTS) flush();
    },
    flush,
    metrics(data) {
      const all = { resource, scopeMetrics: [{ scope, metrics: data }] };
      const bytes = ProtobufMetricsSerializer.serializeRequest(all as never)!;
      newest = { signal: "metrics", bytes: packed(bytes), events: 0 };
      begin();
    },
    get pending() {
      return records.length;
    },
    get lost() {
      return lost + (over ? BigInt(waiting) : 0n);
    },
    async end() {
      flush();
      ending = true;
      wake();
      begin();
      const late = new Promise<void>((resolve) => void setTimeout(resolve, limits.lastMs).unref());
      while (sending !== null && (await Promise.race([sending.then(() => true), late])) === true);
      over = true;
      wake();
      stop.abort();
    },
  };
}

// --- internal ---

/** The runtime's own words for these are no help to the user. */
const SAYINGS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there",
  ENOTFOUND: "no host has this name",
  EAI_AGAIN: "no name server answers",
};

function sayingOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code = "" } = error as NodeJS.ErrnoException;
  const saying = SAYINGS[code];
  return saying === undefined ? error.message : `${saying} (${code})`;
}

interface Outcome {
  /** To be tried again, and not before that; `null`: it is done. */
  again: { why: string; afterMs: number } | null;
  /** The receiver does not want it; `null`: it took it. */
  refused: string | null;
  /** Events that it did not take. */
  rejected: number;
}

/** As the specification of OTLP has them. Every other status but 200 is for good. */
const RETRIED: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const LONGEST_AFTER_MS = 60_000;

/** Retry-After, in seconds. */
function afterMs(response: Response): number {
  const seconds = Number(response.headers.get("retry-after") ?? 0);
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds * 1000), LONGEST_AFTER_MS) : 0;
}

/** A receiver that answers without an end holds no memory. */
async function startOf(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    size += part.length;
    if (size > ANSWER_BYTES) break;
  }
  return Buffer.concat(parts);
}

/** A receiver can take a part of a request. */
function rejectedBy(signal: Signal, answer: Uint8Array): Pick<Outcome, "refused" | "rejected"> {
  if (signal !== "logs" || answer.length === 0) return { refused: null, rejected: 0 };
  try {
    const { partialSuccess } = ProtobufLogsSerializer.deserializeResponse(answer);
    const rejected = Number(partialSuccess?.rejectedLogRecords ?? 0);
    if (rejected === 0) return { refused: null, rejected: 0 };
    return { refused: partialSuccess?.errorMessage ?? "it gives no reason", rejected };
  } catch {
    return { refused: null, rejected: 0 };
  }
}
