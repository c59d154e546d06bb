/** An interval as one JSON object. Pure. */
import { isoMicros } from "../conn/clock.ts";
import { translationOf } from "../conn/nat.ts";
import { jsonString } from "../output/escape.ts";
import type { Loss } from "../output/losses.ts";
import { highestOf } from "../protocols/stack.ts";
import type { Tick } from "./facts.ts";
import { groupingOf, type TopGrouping } from "./groupings.ts";
import { totalOf, type Row } from "./rows.ts";
import { knownOf, meanOf, type Sums } from "./sums.ts";

export interface Shown {
  by: TopGrouping;
  rows: readonly Row[];
  /** All that there are. */
  count: number;
}

/** Known when the interval ended. */
export interface Surroundings {
  /** Nanoseconds since 1970. */
  wallNs: bigint;
  losses: readonly Loss[];
  /** Of this process, in the interval. */
  cpuShare: number | null;
  memoryBytes: number;
}

/** One line. Bytes and counts are those of the interval; `*_total` are since the view began. `null`: not known. */
export function tickJson(tick: Tick, { by, rows, count }: Shown, around: Surroundings): string {
  const seconds = Number(tick.elapsedNs) / 1e9;
  return object({
    v: "1",
    time: jsonString(isoMicros(around.wallNs)),
    interval_us: (tick.elapsedNs / 1000n).toString(),
    by: jsonString(by),
    rows: list(rows.map((row) => object({ ...nameOf(row, by), ...sumsOf(row.sums, seconds) }))),
    rows_total: `${count}`,
    total: object(sumsOf(totalOf(tick), seconds)),
    lost: list(
      around.losses.map(({ cause, count: lost }) =>
        object({ cause: jsonString(cause), count: `${lost}` }),
      ),
    ),
    own: object({
      cpu_percent: number(around.cpuShare === null ? null : 100 * around.cpuShare, 2),
      memory_bytes: `${around.memoryBytes}`,
    }),
  });
}

// --- internal ---

/** The values are JSON already. */
type Members = Record<string, string>;

const object = (members: Members): string =>
  `{${Object.entries(members)
    .map(([name, value]) => `"${name}":${value}`)
    .join()}}`;

const list = (items: readonly string[]): string => `[${items.join()}]`;

const number = (value: number | null, digits = 0): string =>
  value === null ? "null" : Number(value.toFixed(digits)).toString();

const text = (value: string | null): string => (value === null ? "null" : jsonString(value));

function nameOf({ event }: Row, by: TopGrouping): Members {
  const parts = groupingOf(by).parts.map(({ name, exact }) => [name, exactJson(exact(event))]);
  if (by !== "connection") return Object.fromEntries(parts);
  const { application = null } = event;
  const remote = translationOf(event)?.remote ?? null;
  return {
    ...Object.fromEntries(parts),
    application: text(application === null ? null : highestOf(application)),
    nat_remote: remote === null ? "null" : endJson(remote),
  };
}

const endJson = ({ address, port }: { address: string; port: number }): string =>
  object({ address: jsonString(address), port: `${port}` });

function exactJson(value: ReturnType<ReturnType<typeof groupingOf>["parts"][0]["exact"]>): string {
  if (value === null) return "null";
  if (typeof value === "object") return endJson(value);
  return typeof value === "string" ? jsonString(value) : `${value}`;
}

function sumsOf(sums: Sums, seconds: number): Members {
  const { tx, rx, txTotal, rxTotal, retransmits } = sums;
  const perSecond = (bytes: number | null) =>
    number(bytes === null || seconds <= 0 ? null : bytes / seconds);
  return {
    open: `${sums.open}`,
    opened: `${sums.opened}`,
    failed_total: `${sums.failed}`,
    bytes_sent: number(knownOf(tx)),
    bytes_received: number(knownOf(rx)),
    bytes_sent_per_s: perSecond(knownOf(tx)),
    bytes_received_per_s: perSecond(knownOf(rx)),
    bytes_unknown: `${Math.max(tx.unknown, rx.unknown)}`,
    bytes_sent_total: number(knownOf(txTotal)),
    bytes_received_total: number(knownOf(rxTotal)),
    bytes_unknown_total: `${Math.max(txTotal.unknown, rxTotal.unknown)}`,
    rtt_us: number(meanOf(sums.rttUs)),
    retransmits_total: retransmits.known === 0 ? "null" : `${retransmits.sum}`,
    connect_us: number(meanOf(sums.connectUs)),
  };
}
