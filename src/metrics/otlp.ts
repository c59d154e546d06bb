/** Events and families as the structs that OTLP's serializers take. Pure. */
import { processName } from "../conn/process_name.ts";
import { wallTime, type ClockPair } from "../conn/clock.ts";
import type { ConnEvent, Endpoint } from "../conn/event.ts";
import { members, type Value } from "../members/table.ts";
import { escapeText } from "../output/escape.ts";
import type { Family, Row } from "./series.ts";
import { PREFIX } from "./table.ts";

/** Seconds and nanoseconds. */
type Time = [number, number];
type Attributes = Record<string, string | number | boolean>;

/** The parts of a ReadableLogRecord that are serialized. */
export interface LogRecord {
  hrTime: Time;
  hrTimeObserved: Time;
  severityNumber: number;
  severityText: string;
  eventName: string;
  body: string;
  attributes: Attributes;
  droppedAttributesCount: number;
}

/** One per event. Members that are not known are left out. */
export function logRecord(event: ConnEvent, clocks: ClockPair, observedNs: bigint): LogRecord {
  const wallNs = wallTime(event.atNs, clocks);
  const attributes: Attributes = {};
  for (const { name, key, of } of named) {
    const value = of(event, wallNs);
    if (value === undefined || value === null || value === true) continue;
    attributes[key] = name === "family" ? `ipv${value}` : plain(value);
  }
  const isFailure = event.kind === "fail";
  return {
    hrTime: timeOf(wallNs),
    hrTimeObserved: timeOf(observedNs),
    // WARN and INFO of the log data model.
    severityNumber: isFailure ? 13 : 9,
    severityText: isFailure ? "WARN" : "INFO",
    eventName: `${PREFIX.slice(0, -1)}.${event.kind}`,
    body: bodyOf(event),
    attributes,
    droppedAttributesCount: 0,
  };
}

/** ResourceMetrics without the resource. Cumulative, since the trace began. */
export function metricData(
  families: readonly Family[],
  beganNs: bigint,
  nowNs: bigint,
): MetricData[] {
  const times = { startTime: timeOf(beganNs), endTime: timeOf(nowNs) };
  return families.flatMap(({ name, metric, rows }): MetricData[] => {
    const { type, help, unit, bounds } = metric;
    const dataPoints = Array.from(rows, (row) => ({
      ...times,
      attributes: Object.fromEntries(row.labels.map(([label, text]) => [label, escapeText(text)])),
      value: bounds === undefined ? row.value : histogramOf(bounds, row),
    }));
    if (dataPoints.length === 0) return [];
    // The form without `_total`, which receivers for Prometheus append.
    const shown = (PREFIX + name).replace(/_total$/, "");
    return [
      {
        descriptor: { name: shown, description: help, unit, valueType: VALUE_DOUBLE },
        dataPointType: POINTS[type],
        aggregationTemporality: CUMULATIVE,
        isMonotonic: type === "counter",
        dataPoints,
      },
    ];
  });
}

/** The parts of the SDK's MetricData that are serialized. */
export interface MetricData {
  descriptor: { name: string; description: string; unit: string; valueType: number };
  dataPointType: number;
  aggregationTemporality: number;
  isMonotonic: boolean;
  dataPoints: {
    startTime: Time;
    endTime: Time;
    attributes: Attributes;
    value: number | ReturnType<typeof histogramOf>;
  }[];
}

/** The attribute that a member becomes: the convention's name if it has one of its own, else one below `tracer_bpf`. */
export function attributeName(name: string, openTelemetry: string): string {
  const own = /^`([\w.]+)`$/.exec(name === "family" ? "`network.type`" : openTelemetry)?.[1];
  return own === undefined || beside.has(name) ? `tracer_bpf.${name}` : own;
}

// --- internal ---

/** The enums DataPointType, AggregationTemporality and ValueType of the SDK. */
const POINTS = { histogram: 0, gauge: 2, counter: 3 } as const;
const CUMULATIVE = 1;
const VALUE_DOUBLE = 1;

/** The convention has one name for the protocols of all layers. */
const beside: ReadonlySet<string> = new Set(["application.api", "application.encryption"]);

/** The record itself tells these. */
const elsewhere: ReadonlySet<string> = new Set(["v", "time", "event"]);

const named = members
  .filter(({ name }) => !elsewhere.has(name))
  .map(({ name, names, of }) => ({ name, key: attributeName(name, names.openTelemetry), of }));

/** OTLP has integers of 64 bits; a number that JavaScript would round becomes text. */
function plain(value: Exclude<Value, undefined | null>): string | number | boolean {
  if (typeof value !== "bigint") return typeof value === "string" ? value.toWellFormed() : value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function bodyOf(event: ConnEvent): string {
  const { kind, protocol, direction, local, remote } = event;
  const arrow = { outgoing: "->", incoming: "<-", unknown: "--" }[direction];
  return `${kind} ${protocol} ${escapeText(processName(event) ?? "-")} ${endText(local)} ${arrow} ${endText(remote)}`;
}

const endText = ({ address, port }: Endpoint): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

function histogramOf(bounds: readonly number[], { buckets, value }: Row) {
  const counts = [...buckets!];
  const count = counts.reduce((sum, one) => sum + one, 0);
  return { buckets: { boundaries: [...bounds], counts }, sum: value, count };
}

const NS = 1_000_000_000n;
const timeOf = (ns: bigint): Time => [Number(ns / NS), Number(ns % NS)];
