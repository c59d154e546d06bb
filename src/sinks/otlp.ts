/** A log record per event, for a receiver of OTLP. Pure. */
import type { LogRecord } from "../metrics/otlp.ts";
import { logRecord } from "../metrics/otlp.ts";
import type { Sink } from "./sink.ts";

interface Sender {
  log(record: LogRecord): void;
  flush(): void;
  readonly pending: number;
  readonly lost: bigint;
  end(): Promise<void>;
}

export const UNSENT = "not taken by the OTLP receiver";

/** Events of so long make one request, unless there are many. */
const FLUSH_MS = 1_000;

export const otlpSink = (sender: Sender, nowNs: () => bigint): Sink => {
  let sinceNs: bigint | null = null;
  return {
    event(event, clocks) {
      const observedNs = nowNs();
      sinceNs ??= observedNs;
      sender.log(logRecord(event, clocks, observedNs));
    },
    tick() {
      if (sinceNs === null || nowNs() - sinceNs < BigInt(FLUSH_MS) * 1_000_000n) return;
      sender.flush();
      sinceNs = null;
    },
    end: () => sender.end(),
    losses: () => [{ cause: UNSENT, count: sender.lost }],
    get dueMs() {
      return sender.pending > 0 ? FLUSH_MS : Infinity;
    },
  };
};
