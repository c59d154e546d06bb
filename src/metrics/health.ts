/** Families of the tracer itself: they are read when somebody asks. Pure. */
import type { Loss } from "../output/losses.ts";
import type { Family, Row, Series } from "./series.ts";
import { metricNames, metricOf, type MetricName } from "./table.ts";

export interface Health {
  /** All causes, also those with nothing. */
  losses: readonly (Loss & { unit?: "datagram" })[];
  running: boolean;
  startSeconds: number;
  cpuSeconds: number;
  version: string;
  kernel: string;
}

type Pairs = Row["labels"];

/** Adds these to the families of events; of a trace that is over nobody knows what is open. */
export function withHealth(families: readonly Family[], series: Series, health: Health): Family[] {
  const own = ownRows(series, health);
  return metricNames.map((name) => {
    const metric = metricOf(name);
    const told = own[name];
    if (told !== undefined) return { name, metric, rows: told };
    const isGone = metric.type === "gauge" && !health.running;
    return { name, metric, rows: isGone ? [] : families.find((one) => one.name === name)!.rows };
  });
}

// --- internal ---

/** To add one, add a row here and in table.ts. */
function ownRows(series: Series, health: Health): Partial<Record<MetricName, Row[]>> {
  const { losses, running, startSeconds, cpuSeconds, version, kernel } = health;
  const causes = (isDatagrams: boolean) =>
    losses
      .filter(({ unit }) => (unit === "datagram") === isDatagrams)
      .map(({ cause, count }) => row(Number(count), [["cause", cause]]));
  return {
    events_lost_total: causes(false),
    datagrams_lost_total: causes(true),
    events_folded_total: [row(series.folded)],
    series: [row(series.count)],
    running: [row(running ? 1 : 0)],
    start_time_seconds: [row(startSeconds)],
    cpu_seconds_total: [row(cpuSeconds)],
    build_info: [
      row(1, [
        ["version", version],
        ["kernel", kernel],
      ]),
    ],
  };
}

const row = (value: number, labels: Pairs = []): Row => ({ labels, value, buckets: null });
