/** An event: one thing that happened to one connection. Everything after src/trace speaks of events. Pure types. */

import type { Attributes } from "../members/attributes.ts";
import type { DnsDetails } from "../protocols/dns.ts";
import type { TlsDetails } from "../protocols/hello.ts";
import type { QuicDetails } from "../protocols/quic.ts";
import type { Application } from "../protocols/stack.ts";

export type Protocol = "tcp" | "udp";
/**
 * `fail`: an attempt to connect that came to nothing; of UDP, a datagram that drew an error: its flow goes on. `open`: a connection that was there before the trace. `begin`: the
 * first datagram of a UDP flow. `protocol`: what it speaks is known now. `sample`: what a connection or flow that goes on has moved so far.
 */
export type EventKind =
  | "connect"
  | "accept"
  | "close"
  | "fail"
  | "open"
  | "begin"
  | "protocol"
  | "sample";
export type ProtocolSource = "seen" | "endpoint";
export type NameSource = "answer" | "lookup";
export type Direction = "outgoing" | "incoming" | "unknown";

export interface Endpoint {
  /** Text form; an IPv4-mapped IPv6 address appears as IPv4. */
  address: string;
  /** Host order. 0: this end is not known, or was never chosen. */
  port: number;
  /** With --resolve, of the remote end: the name of the address as its owner gives it, raw text; `null`: not known yet. */
  name?: string | null;
  /** `answer`: a program of this host has found the address under it; `lookup`: it was looked up for the address. */
  nameSource?: NameSource | null;
}

/**
 * The ends of a connection whose addresses or ports are translated on this host (NAT): `remote` is the end that really
 * answers or really asks, `local` is this end as the other side knows it. `null`: the same as the socket's; never both.
 */
export interface Translation {
  local: Endpoint | null;
  remote: Endpoint | null;
}

/**
 * Totals of a connection, read from its tcp_sock when it closed. Of a UDP flow, what was counted of it: segments are
 * datagrams then, and round-trip time and retransmits `null`. `null` = not known, never a guess.
 */
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
  /**
   * From the connect or accept to the close; `null` for a connection older than the trace. UDP: from the first datagram
   * to the last.
   */
  durationNs: bigint | null;
}

/** The attributes are those of the process when it called connect or accept. */
export interface ConnEvent extends Attributes {
  kind: EventKind;
  /**
   * The same on all events of one connection or flow, and of no other on this host while the trace runs: 20 hexadecimal digits.
   * `null` or left out: the recording was made before there were ids.
   */
  id?: string | null;
  protocol: Protocol;
  /** Nanoseconds of CLOCK_MONOTONIC (bpf_ktime_get_ns). */
  atNs: bigint;
  /** Process id (tgid) of the process that called connect or accept, in the initial pid namespace; `null` = unknown. */
  pid: number | null;
  /** Its command name as raw text, control characters included: formats must escape it. `null` = unknown. */
  comm: string | null;
  /** The name of the thread that called, where it is not the process' own or that is not known; raw text. */
  thread?: string;
  family: 4 | 6;
  direction: Direction;
  /** Inode number of the network namespace. */
  netns: number | null;
  /** Of a link-local local address: the interface that has it, raw text; left out: not known. */
  interface?: string;
  /** With --resolve: name of that user; `null` = not known. */
  user?: string | null;
  /** Path of its control group below the cgroup mount, `/system.slice/nginx.service`; raw text, as `comm`. */
  cgroup?: string | null;
  /** Id of the container that the control group belongs to; `null`: none, or not known. */
  container?: string | null;
  /** As the files of its engine on this host tell it, raw text; left out: not known. */
  containerName?: string;
  image?: string;
  pod?: string;
  podNamespace?: string;
  /** Its command line, arguments separated by spaces; raw text, as `comm`. */
  args?: string | null;
  /** With the command line: the file that the process runs; raw text. `null`: not known, as the process was gone. */
  exe?: string | null;
  /** The process that its parent is, as the initial pid namespace numbers it, and that one's name; `null`: not known. */
  parentPid?: number | null;
  parentComm?: string | null;
  /** As the socket has them. */
  local: Endpoint;
  remote: Endpoint;
  /** `false`: known to be translated nowhere on this host; `null` or left out: not known. */
  nat?: Translation | false | null;
  /** The protocols that it speaks, as its first bytes showed; `null` or left out: not known, or not yet. */
  application?: Application | null;
  /**
   * `seen`: its own bytes showed `application`; `endpoint`: it was not looked at, and the last connections to the same server
   * all spoke this. `null` or left out: nothing is known.
   */
  protocolSource?: ProtocolSource | null;
  /** If it speaks TLS: what the hellos of both ends told; `null` or left out: nothing is known. */
  tls?: TlsDetails | null;
  /** The first question of DNS that was seen, and the answer to it; left out: it speaks no DNS, or that is not known. */
  dns?: DnsDetails;
  /** Left out: it speaks no QUIC, or that is not known. */
  quic?: QuicDetails;
  /** On `connect` and `fail` of TCP: from the SYN to the end of the handshake, or of the attempt; `null`: not known. */
  connectNs?: bigint | null;
  /** On `accept` of TCP: for how long the connection was there before accept(2) took it; `null`: not known. */
  acceptNs?: bigint | null;
  /** On `fail`, and on the `close` of a TCP connection that ended by an error: its errno; `null` = not known. */
  failure?: number | null;
  /** On `close`, `open` and `sample`. */
  totals?: Totals;
}
