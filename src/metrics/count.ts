/**
 * Counts events into series. A byte is counted once, whether a sample or the end of its connection told of it first, and what
 * was moved before the trace is not counted. Pure.
 */
import type { PortRange } from "../conn/direction.ts";
import type { Totals } from "../conn/event.ts";
import type { TracedEvent } from "../conn/identity.ts";
import type { Loss } from "../output/losses.ts";
import { errnoText } from "../record/errno.ts";
import { labelsOf, type LabelName, type LabelValues } from "./labels.ts";
import { Series, type Family, type Row } from "./series.ts";
import type { MetricName } from "./table.ts";

export interface CountOptions {
  labels: ReadonlySet<LabelName>;
  ephemeral?: PortRange;
  mostSeries?: number;
  mostOpen?: number;
}

/** A connection or flow that goes on. */
interface Open {
  /** The sum of what has been counted and what was moved before the trace; NaN: not known. */
  counted: Record<Measure, number>;
  labels: LabelValues;
  /** The gauge that it is in. */
  gauge: Row;
}

/** More than the kernel side follows unless it is told to; about 100 MB. */
const MOST_OPEN = 262_144;
/** A sample can be overtaken by the end of its connection, within a poll or two. */
const MOST_ENDED = 8_192;

export class EventCounts {
  readonly #labels: ReadonlySet<LabelName>;
  readonly #ephemeral: PortRange | undefined;
  readonly #mostOpen: number;
  readonly #open = new Map<Key, Open>();
  /** The keys that ended last. */
  readonly #ended = new Set<Key>();
  readonly series: Series;
  #forgotten = 0n;

  constructor({ labels, ephemeral, mostSeries, mostOpen = MOST_OPEN }: CountOptions) {
    this.#labels = labels;
    this.#ephemeral = ephemeral;
    this.#mostOpen = mostOpen;
    this.series = new Series(mostSeries);
  }

  observe(event: TracedEvent): void {
    const key = keyOf(event);
    switch (event.kind) {
      case "fail":
        return this.#fail(key, event);
      case "close":
        return this.#close(key, event);
      case "sample":
        return this.#sample(key, event);
      default:
        return this.#begin(key, event);
    }
  }

  /** Connections that the kernel side knows no more though no end of them was told: the end was lost, and counted so. */
  drop(events: Iterable<TracedEvent>): void {
    for (const event of events) this.#end(keyOf(event));
  }

  /** Events that are counted, but not as they should be. */
  losses(): Loss[] {
    return [{ cause: FORGOTTEN, count: this.#forgotten }];
  }

  families(): Family[] {
    return this.series.families();
  }

  #begin(key: Key, event: TracedEvent): void {
    this.#ended.delete(key);
    const known = this.#open.get(key);
    // Told of before, by an event that was faster.
    if (known !== undefined && event.kind === "open") return;
    if (known !== undefined) this.#end(key);
    const labels = this.#labelsOf(event);
    if (event.kind !== "open") this.series.add(names[event.protocol].opened, labels, 1);
    const connectNs = event.kind === "connect" ? (event.connectNs ?? null) : null;
    if (connectNs !== null && event.protocol === "tcp")
      this.series.observe("tcp_connect_seconds", labels, Number(connectNs) / 1e9);
    this.#follow(key, event, labels, event.kind === "open" ? event.totals : undefined);
  }

  #sample(key: Key, event: TracedEvent): void {
    if (this.#ended.has(key)) return;
    const known = this.#open.get(key);
    if (known !== undefined) {
      this.#relabel(known, event);
      return this.#count(known, event, false);
    }
    // Its beginning was lost, or was not shown. Bytes that it moved before this moment may be older than the trace.
    const labels = this.#labelsOf(event);
    const isOfTrace = beganInTrace(event);
    const made = this.#follow(key, event, labels, isOfTrace ? undefined : event.totals);
    if (isOfTrace) this.#count(made, event, false);
  }

  #close(key: Key, event: TracedEvent): void {
    if (this.#ended.has(key)) return;
    const { series } = this;
    const known = this.#open.get(key);
    const labels = this.#namedAs(event, known);
    const { closed } = names[event.protocol];
    const failure = event.failure === undefined ? "none" : errorOf(event.failure);
    series.add(closed, labels, 1, { error: failure });
    const fresh = beganInTrace(event) ? nothing() : unknownBefore();
    this.#count({ counted: known?.counted ?? fresh, labels }, event, true);
    const { rttUs = null } = event.totals ?? {};
    if (rttUs !== null && event.protocol === "tcp")
      series.observe("tcp_rtt_seconds", labels, rttUs / 1e6);
    this.#end(key);
  }

  /** An attempt that came to nothing, or a datagram that drew an error: its flow goes on. */
  #fail(key: Key, event: TracedEvent): void {
    const error = errorOf(event.failure);
    this.series.add(names[event.protocol].failed, this.#labelsOf(event), 1, { error });
    if (event.protocol === "tcp") this.#end(key);
  }

  /** `before`: what it had moved before the trace; left out: nothing. */
  #follow(key: Key, event: TracedEvent, labels: LabelValues, before?: Totals): Open {
    if (this.#open.size >= this.#mostOpen) {
      const [oldest] = this.#open.keys();
      this.#end(oldest!);
      this.#forgotten += 1n;
    }
    const gauge = this.series.row(names[event.protocol].open, labels);
    gauge.value += 1;
    const counted = nothing();
    if (before !== undefined)
      for (const [measure] of measures) counted[measure] = Number(before[measure] ?? NaN);
    const made = { counted, labels, gauge };
    this.#open.set(key, made);
    return made;
  }

  #end(key: Key): void {
    const known = this.#open.get(key);
    if (known !== undefined) known.gauge.value -= 1;
    this.#open.delete(key);
    this.#ended.add(key);
    if (this.#ended.size > MOST_ENDED) this.#ended.delete(this.#ended.values().next().value!);
  }

  /** Counts what is new. A number that is smaller than before is an older one. */
  #count({ counted, labels }: Counted, { protocol, totals }: TracedEvent, isLast: boolean): void {
    for (const [measure, of] of measures) {
      const { name, io } = of[protocol] ?? {};
      if (name === undefined) continue;
      const total = totals?.[measure] ?? null;
      const more = Number(total ?? NaN) - counted[measure];
      if (more > 0) this.series.add(name, labels, more, io && { io });
      else if (Number.isNaN(more) && isLast && measure.startsWith("bytes"))
        this.series.add(names[protocol].unknown, labels, 1, io && { io });
      if (total !== null && !(more < 0)) counted[measure] = Number(total);
    }
  }

  /** Protocols are known after a while, and so can be a process. The gauge stays where it is. */
  #relabel(known: Open, event: TracedEvent): void {
    known.labels = this.#namedAs(event, known);
  }

  /** As the event says, and where it does not know, as it was known before. */
  #namedAs(event: TracedEvent, known: Open | undefined): LabelValues {
    const labels = this.#labelsOf(event);
    if (known === undefined) return labels;
    for (const [name, before] of Object.entries(known.labels) as [LabelName, string][])
      if (labels[name] === "" || labels[name] === "unknown") labels[name] = before;
    return labels;
  }

  #labelsOf(event: TracedEvent): LabelValues {
    return labelsOf(event, this.#labels, this.#ephemeral);
  }
}

export const FORGOTTEN = "not followed for its metrics, too many connections at once";

// --- internal ---

type Key = number | string;

/** All flows of one UDP socket have one cookie. Two sockets of TCP may have one cookie, hardly with the same ports. */
function keyOf({ protocol, cookie, local, remote }: TracedEvent): Key {
  if (protocol === "tcp") return cookie * 0x10000 + (local.port ^ remote.port);
  return `${cookie} ${local.address} ${local.port} ${remote.address} ${remote.port}`;
}

interface Names {
  opened: MetricName;
  closed: MetricName;
  failed: MetricName;
  open: MetricName;
  unknown: MetricName;
}

const names: Readonly<Record<TracedEvent["protocol"], Names>> = {
  tcp: {
    opened: "tcp_connections_opened_total",
    closed: "tcp_connections_closed_total",
    failed: "tcp_connect_failures_total",
    open: "tcp_open_connections",
    unknown: "tcp_connections_bytes_unknown_total",
  },
  udp: {
    opened: "udp_flows_begun_total",
    closed: "udp_flows_ended_total",
    failed: "udp_failures_total",
    open: "udp_open_flows",
    unknown: "udp_flows_bytes_unknown_total",
  },
};

type Measure = "bytesSent" | "bytesReceived" | "segsOut" | "segsIn" | "retransmits";
type Counts = Partial<
  Record<TracedEvent["protocol"], { name: MetricName; io?: "transmit" | "receive" }>
>;

/** Totals that become counters. To add one, add a row. */
const measures: readonly [Measure, Counts][] = [
  [
    "bytesSent",
    {
      tcp: { name: "tcp_bytes_total", io: "transmit" },
      udp: { name: "udp_bytes_total", io: "transmit" },
    },
  ],
  [
    "bytesReceived",
    {
      tcp: { name: "tcp_bytes_total", io: "receive" },
      udp: { name: "udp_bytes_total", io: "receive" },
    },
  ],
  ["segsOut", { udp: { name: "udp_datagrams_total", io: "transmit" } }],
  ["segsIn", { udp: { name: "udp_datagrams_total", io: "receive" } }],
  ["retransmits", { tcp: { name: "tcp_retransmitted_segments_total" } }],
];

type Counted = Pick<Open, "counted" | "labels">;

/** Of a connection that begins now. */
const nothing = (): Open["counted"] => ({
  bytesSent: 0,
  bytesReceived: 0,
  segsOut: 0,
  segsIn: 0,
  retransmits: 0,
});

/** Of a connection that is older than the trace, and of which nothing was told when the trace began. */
const unknownBefore = (): Open["counted"] => ({
  bytesSent: NaN,
  bytesReceived: NaN,
  segsOut: NaN,
  segsIn: NaN,
  retransmits: NaN,
});

/** A flow is followed from its first datagram on. */
const beganInTrace = ({ protocol, totals }: TracedEvent): boolean =>
  protocol === "udp" || (totals?.durationNs ?? null) !== null;

const errorOf = (errno: number | null | undefined): string =>
  errno === null || errno === undefined ? "unknown" : errnoText(errno);
