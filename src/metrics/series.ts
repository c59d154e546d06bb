/** The series of all metrics, with a bound on their number. Pure. */
import { OTHER, labelNames, type LabelValues } from "./labels.ts";
import { metricOf, metricNames, type AlsoName, type Metric, type MetricName } from "./table.ts";

/** One set of label values of one metric. */
export interface Row {
  /** In the order in which they are written, without empty ones. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Of a histogram the sum. */
  value: number;
  /** Of a histogram: how many were in each bucket, the last one is beyond all bounds. */
  readonly buckets: number[] | null;
}

export interface Family {
  name: MetricName;
  metric: Metric;
  rows: Iterable<Row>;
}

/** As Prometheus counts them: each bucket is one. About 1.5 MB of text. */
const MOST_SERIES = 10_000;

type Also = Partial<Record<AlsoName, string>>;

export class Series {
  readonly #most: number;
  readonly #rows = new Map<MetricName, Map<string, Row>>(
    metricNames.map((name) => [name, new Map()]),
  );
  #count = 0;
  #folded = 0;

  constructor(most = MOST_SERIES) {
    this.#most = most;
  }

  /** The number of series, those of "other" aside. */
  get count(): number {
    return this.#count;
  }

  /** How often something had no room of its own. */
  get folded(): number {
    return this.#folded;
  }

  /** Where the bound is reached, the row of all others. Rows stay, so the same values give the same row for ever. */
  row(name: MetricName, labels: LabelValues, also: Also = {}): Row {
    const metric = metricOf(name);
    const rows = this.#rows.get(name)!;
    const key = keyOf(metric, labels, also);
    const known = rows.get(key);
    if (known !== undefined) return known;
    const size = linesOf(metric);
    if (this.#count + size > this.#most) {
      this.#folded += 1;
      return this.#others(metric, rows, labels, also);
    }
    this.#count += size;
    return begin(rows, key, metric, labels, also);
  }

  add(name: MetricName, labels: LabelValues, by: number, also?: Also): void {
    this.row(name, labels, also).value += by;
  }

  /** Of a histogram. */
  observe(name: MetricName, labels: LabelValues, value: number): void {
    const row = this.row(name, labels);
    const at = metricOf(name).bounds!.findIndex((bound) => value <= bound);
    row.buckets![at < 0 ? row.buckets!.length - 1 : at]! += 1;
    row.value += value;
  }

  /** In the order of the table, those without a row too. */
  families(): Family[] {
    return metricNames.map((name) => ({
      name,
      metric: metricOf(name),
      rows: this.#rows.get(name)!.values(),
    }));
  }

  /** Few by nature: there are as many as there are values of the other labels. */
  #others(metric: Metric, rows: Map<string, Row>, labels: LabelValues, also: Also): Row {
    const folded = Object.fromEntries(Object.keys(labels).map((name) => [name, OTHER]));
    const key = keyOf(metric, folded, also);
    return rows.get(key) ?? begin(rows, key, metric, folded, also);
  }
}

/** The series that one row is for Prometheus. */
export const linesOf = ({ bounds }: Metric): number =>
  bounds === undefined ? 1 : bounds.length + 3;

// --- internal ---

function begin(
  rows: Map<string, Row>,
  key: string,
  metric: Metric,
  labels: LabelValues,
  also: Also,
): Row {
  const buckets = metric.bounds === undefined ? null : [...metric.bounds, Infinity].map(() => 0);
  const row = { labels: pairsOf(metric, labels, also), value: 0, buckets };
  rows.set(key, row);
  return row;
}

/** Values are raw text of others: a separator between them may be part of one. */
function keyOf({ of = [], also = [] }: Metric, labels: LabelValues, values: Also): string {
  let key = "";
  for (const name of of) {
    const value = labels[name];
    if (value !== undefined) key += `${value.length}:${value}`;
  }
  for (const name of also) key += `${values[name] ?? ""}\n`;
  return key;
}

function pairsOf(
  { of = [], also = [] }: Metric,
  labels: LabelValues,
  values: Also,
): [string, string][] {
  const all = [
    ...labelNames.filter((name) => of.includes(name)).map((name) => [name, labels[name] ?? ""]),
    ...also.map((name) => [name, values[name] ?? ""]),
  ] as [string, string][];
  return all.filter(([, value]) => value !== "");
}
