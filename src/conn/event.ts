/** What the rest of the program speaks: one thing that happened to one TCP connection. Pure types. */

export type EventKind = "connect" | "accept" | "close";
export type Direction = "outgoing" | "incoming" | "unknown";

export interface Endpoint {
  /** Text form; an IPv4-mapped IPv6 address appears as IPv4. */
  address: string;
  /** Host order. */
  port: number;
}

/** Totals of a connection, read from its tcp_sock when it closed. `null` = not known, never a guess. */
export interface Totals {
  /** Payload the local application wrote, without SYN and FIN. */
  bytesSent: bigint | null;
  /** Payload the local application read. */
  bytesReceived: bigint | null;
  segsOut: number | null;
  segsIn: number | null;
  /** Smoothed round-trip time, `srtt_us >> 3`; its mean deviation, `mdev_us >> 2`. */
  rttUs: number | null;
  rttVarUs: number | null;
  /** `total_retrans`. */
  retransmits: number | null;
  /** From the connect or accept to the close; `null` for a connection older than the trace. */
  durationNs: bigint | null;
}

export interface TcpEvent {
  kind: EventKind;
  /** Nanoseconds of CLOCK_MONOTONIC (bpf_ktime_get_ns). */
  atNs: bigint;
  /** Process id (tgid) of the process that called connect or accept, in the initial pid namespace; `null` = unknown. */
  pid: number | null;
  /** Its command name as raw text, control characters included: formats must escape it. */
  comm: string | null;
  family: 4 | 6;
  direction: Direction;
  /** Inode number of the network namespace. */
  netns: number | null;
  local: Endpoint;
  remote: Endpoint;
  /** Only on `close`. */
  totals?: Totals;
}
