/**
 * The metrics, each in one row: the text for Prometheus, the structs for OTLP and docs/fleet.md are made from it. To add a
 * metric: a row here, and the line that counts it in count.ts (of events) or health.ts (of the tracer itself). Pure.
 */
import type { LabelName } from "./labels.ts";

export interface Metric {
  type: "counter" | "gauge" | "histogram";
  /** As OTLP writes units (UCUM). */
  unit: string;
  help: string;
  /** Of a connection: those of them that the user wants. */
  of?: readonly LabelName[];
  /** Labels that it has besides; they take few values. */
  also?: readonly AlsoName[];
  /** Of a histogram: the upper bounds, ascending, in its unit. */
  bounds?: readonly number[];
}

/** `io`: transmit, receive. `error`: the errno's name. */
export type AlsoName = "io" | "error" | "cause" | "version" | "kernel";

const WHO = ["process", "unit", "container", "direction", "port", "remote"] as const;
/** Protocols are known after the first bytes. */
const SPEAKING = [...WHO, "application"] as const;
/** A histogram has many series per group. */
const BRIEF = ["process", "direction", "port"] as const;

/** 50 µs to 10 s: loopback, a rack, an ocean, a timeout. */
const LATENCIES = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
  10,
] as const;

/** By the name behind `tracer_bpf_`. */
const metrics = {
  tcp_connections_opened_total: {
    type: "counter",
    unit: "{connection}",
    help: "TCP connections that were established during the trace: connected (outgoing) or accepted (incoming).",
    of: WHO,
  },
  tcp_connections_closed_total: {
    type: "counter",
    unit: "{connection}",
    help: 'TCP connections that ended; error is the errno of one that ended by an error ("none": by none).',
    of: SPEAKING,
    also: ["error"],
  },
  tcp_connect_failures_total: {
    type: "counter",
    unit: "{attempt}",
    help: 'Attempts to connect by TCP that came to nothing, by errno ("unknown": the reason is not known).',
    of: WHO,
    also: ["error"],
  },
  tcp_open_connections: {
    type: "gauge",
    unit: "{connection}",
    help: "TCP connections that are open, older ones included.",
    of: WHO,
  },
  tcp_bytes_total: {
    type: "counter",
    unit: "By",
    help: "Payload that programs of this host wrote (transmit) and read (receive) by TCP during the trace.",
    of: SPEAKING,
    also: ["io"],
  },
  tcp_connections_bytes_unknown_total: {
    type: "counter",
    unit: "{connection}",
    help: "TCP connections that ended with an unknown number of bytes. What they moved is not, or not all, in tcp_bytes_total.",
    of: SPEAKING,
    also: ["io"],
  },
  tcp_retransmitted_segments_total: {
    type: "counter",
    unit: "{segment}",
    help: "TCP segments that this host sent again.",
    of: SPEAKING,
  },
  tcp_rtt_seconds: {
    type: "histogram",
    unit: "s",
    help: "Smoothed round-trip time of TCP connections, once of each, when it ends.",
    of: BRIEF,
    bounds: LATENCIES,
  },
  tcp_connect_seconds: {
    type: "histogram",
    unit: "s",
    help: "Time from the SYN until the TCP connection was established, of outgoing connections that were.",
    of: BRIEF,
    bounds: LATENCIES,
  },
  udp_flows_begun_total: {
    type: "counter",
    unit: "{flow}",
    help: "UDP flows that began.",
    of: WHO,
  },
  udp_flows_ended_total: {
    type: "counter",
    unit: "{flow}",
    help: "UDP flows that ended: their socket was closed, or nothing came for a while.",
    of: SPEAKING,
  },
  udp_failures_total: {
    type: "counter",
    unit: "{failure}",
    help: 'Failures of UDP flows, by errno ("unknown": the reason is not known).',
    of: WHO,
    also: ["error"],
  },
  udp_open_flows: {
    type: "gauge",
    unit: "{flow}",
    help: "UDP flows that go on.",
    of: WHO,
  },
  udp_bytes_total: {
    type: "counter",
    unit: "By",
    help: "Payload of UDP datagrams that programs of this host sent (transmit) and received (receive).",
    of: SPEAKING,
    also: ["io"],
  },
  udp_flows_bytes_unknown_total: {
    type: "counter",
    unit: "{flow}",
    help: "UDP flows that ended with an unknown number of bytes.",
    of: SPEAKING,
    also: ["io"],
  },
  udp_datagrams_total: {
    type: "counter",
    unit: "{datagram}",
    help: "UDP datagrams that programs of this host sent (transmit) and received (receive).",
    of: SPEAKING,
    also: ["io"],
  },
  events_lost_total: {
    type: "counter",
    unit: "{event}",
    help: "Events that are missing from these numbers, from the lines or from a recording, by cause.",
    also: ["cause"],
  },
  datagrams_lost_total: {
    type: "counter",
    unit: "{datagram}",
    help: "Datagrams that are counted in no flow, by cause.",
    also: ["cause"],
  },
  events_folded_total: {
    type: "counter",
    unit: "{event}",
    help: 'Times that something was counted under the labels "other", because there were too many series.',
  },
  series: {
    type: "gauge",
    unit: "{series}",
    help: "Series of connections and flows that there are; a bound keeps them from growing further.",
  },
  running: {
    type: "gauge",
    unit: "1",
    help: "1 while the trace runs; 0 in a file that it left behind.",
  },
  start_time_seconds: {
    type: "gauge",
    unit: "s",
    help: "Begin of the trace, in seconds since 1970.",
  },
  cpu_seconds_total: {
    type: "counter",
    unit: "s",
    help: "CPU time of the tracer's own process, without that of its programs in the kernel.",
  },
  build_info: {
    type: "gauge",
    unit: "1",
    help: "Always 1; the labels tell the tracer's version and the kernel's release.",
    also: ["version", "kernel"],
  },
} as const satisfies Readonly<Record<string, Metric>>;

export type MetricName = keyof typeof metrics;

export const metricNames = Object.keys(metrics) as MetricName[];

export const metricOf = (name: MetricName): Metric => metrics[name];

/** The beginning of all names. */
export const PREFIX = "tracer_bpf_";
