/**
 * The members of a line, each once: its JSON object, the columns of CSV, the schema, docs/fields.md and the straight way to
 * a line (src/output/straight) come from here. The values that they show are those of held.ts. Pure.
 */

import { isoMicros } from "../conn/clock.ts";
import { unitOf } from "../conn/unit.ts";
import type {
  ConnEvent,
  EventKind,
  Protocol,
  NameSource,
  ProtocolSource,
  Totals,
} from "../conn/event.ts";
import { isUnspecified } from "../record/address.ts";
import { errnoText } from "../record/errno.ts";
import type { Loss } from "../output/losses.ts";
import type { Hole } from "../output/straight/template.ts";
import type { TlsDetails } from "../protocols/hello.ts";
import { highestOf } from "../protocols/stack.ts";
import { namesOf, protocolNames, type Layer } from "../protocols/table.ts";
import { attributeNames, attributes } from "./attributes.ts";

/** Raised when a member changes its meaning or goes away; new members do not raise it. */
export const VERSION = 1;

export const eventKinds: readonly EventKind[] = [
  "connect",
  "accept",
  "close",
  "fail",
  "open",
  "begin",
  "protocol",
  "sample",
];
export const protocols: readonly Protocol[] = ["tcp", "udp"];
export const nameSources: readonly NameSource[] = ["answer", "lookup"];
export const protocolSources: readonly ProtocolSource[] = ["seen", "endpoint"];

/** `undefined`: this event has no such member. `true`: it is an object, whose members are members of the table. */
export type Value = string | number | bigint | boolean | null | undefined;

/** Its names in other vocabularies, as Markdown; empty: they have none. */
export interface Names {
  openTelemetry: string;
  ecs: string;
}

const NO_NAMES: Names = { openTelemetry: "", ecs: "" };

/** The facts of a member that programs have to know. */
export interface Described {
  name: string;
  description: string;
  names: Names;
  /** Of `object`, the members `NAME.*` behind it tell what is in the object. */
  type: "string" | "integer" | "object";
  /** All the values there are, where they are few. */
  values?: readonly (string | number)[];
  /** `null` is a value: not known. */
  nullable?: true;
  /** Of an object, `false` is a value: there is no such thing. */
  orFalse?: true;
  /** Of an object, what stands for it where there are no objects: CSV and expectations. Left out: `true`. */
  brief?: { values: readonly string[]; of(event: ConnEvent): string | null };
}

/**
 * Of an event. In its name, `local.port` is the member `port` of the object `local`; such neighbours share one object. Where
 * the object itself can be missing, it is a member too.
 */
export interface Member extends Described {
  /** The events that have it; left out: every one. */
  on?: { always: readonly EventKind[]; sometimes: readonly EventKind[] };
  /** Only events of this protocol have it. */
  protocol?: Protocol;
  of(event: ConnEvent, wallNs: bigint): Value;
  /** How it is written where it differs from line to line of one process; left out: it is part of the text that is kept. */
  hole?: Hole;
}

/** In the order in which they are written. To add one, add a row; of a plain number of the process or of a part, one in attributes.ts. */
export const members: readonly Member[] = [
  {
    name: "v",
    names: { openTelemetry: "", ecs: "" },
    description: "version of this format: raised when a member changes its meaning or goes away",
    type: "integer",
    values: [VERSION],
    of: () => VERSION,
  },
  {
    name: "time",
    names: { openTelemetry: "timestamp of the log record", ecs: "`@timestamp`" },
    description: "when it happened, UTC with microseconds (RFC 3339)",
    type: "string",
    of: (_, wallNs) => isoMicros(wallNs),
    hole: { form: "isoMicros" },
  },
  {
    name: "id",
    names: { openTelemetry: "", ecs: "" },
    description:
      "the connection or flow: the same on all its lines, and on those of no other on this host while the trace runs; " +
      "the two ends of a connection on this host have two; null: the recording is from before there were ids",
    type: "string",
    nullable: true,
    of: ({ id }) => id ?? null,
    hole: { form: "id" },
  },
  {
    name: "event",
    names: {
      openTelemetry: "`event.name`, as `tracer_bpf.connect`",
      ecs: "`event.action`; `event.type` is `connection` and `start` (connect, accept, begin), `end` (close), `denied` (fail) or `info` (open, protocol, sample)",
    },
    description:
      "connect: established by a process here; accept: handed to a process here; close: over; " +
      "fail: an attempt that came to nothing, or a datagram that drew an error, after which its flow goes on; " +
      "open: there before the trace; begin: the first datagram of a UDP flow; " +
      "protocol: what a connection speaks is known now (trace --events protocol); " +
      "sample: goes on, and has moved something (trace --interval), or goes on as the trace ends (trace --final)",
    type: "string",
    values: eventKinds,
    of: ({ kind }) => kind,
  },
  {
    name: "protocol",
    names: { openTelemetry: "`network.transport`", ecs: "`network.transport`" },
    description: "transport protocol",
    type: "string",
    values: protocols,
    of: ({ protocol }) => protocol,
  },
  {
    name: "application",
    names: NO_NAMES,
    description:
      "the protocols that it speaks, as its first bytes showed; null: not known, or not yet. " +
      "Without objects (CSV, --expect) the name of the highest one: postgres, http2, tls",
    type: "object",
    nullable: true,
    brief: {
      values: protocolNames,
      of: ({ application }) => (application ? highestOf(application) : null),
    },
    of: ({ application }) => (application ? true : null),
  },
  layer("api", "protocol of calls, carried by the application's"),
  layer("application", "protocol of the application"),
  layer("encryption", "protocol that encrypts"),
  {
    name: "protocol_source",
    names: NO_NAMES,
    description:
      "how application is known; seen: by its own bytes; endpoint: on a busy host, it was not looked at, and the last connections " +
      "to the same server all spoke this; null: nothing is known",
    type: "string",
    values: protocolSources,
    nullable: true,
    of: ({ protocolSource }) => protocolSource ?? null,
  },
  {
    name: "tls",
    names: NO_NAMES,
    description:
      "what the hellos of both ends tell of TLS; null: no TLS, or nothing is known of it. Without objects true is an object",
    type: "object",
    nullable: true,
    of: ({ tls }) => (tls ? true : null),
  },
  tlsDetail("version", "version that the server chose: 1.3, 1.2, 1.1, 1.0", "version", {
    openTelemetry: "`tls.protocol.version`",
    ecs: "`tls.version`",
  }),
  tlsDetail("server_name", "name of the server that the client asks for (SNI)", "serverName", {
    openTelemetry: "`server.address`",
    ecs: "`tls.client.server_name`",
  }),
  tlsDetail("alpn", "protocol that the server chose (ALPN); TLS 1.3 encrypts it", "alpn", {
    openTelemetry: "`tls.next_protocol`",
    ecs: "`tls.next_protocol`",
  }),
  tlsDetail("alpn_offered", "protocols that the client offers, commas between", "alpnOffered", {
    openTelemetry: "",
    ecs: "",
  }),
  {
    name: "dns",
    names: NO_NAMES,
    description:
      "the first question of DNS that was seen, and the answer to it; left out where it is no DNS",
    type: "object",
    on: { always: [], sometimes: eventKinds },
    of: ({ dns }) => (dns ? true : undefined),
  },
  {
    name: "dns.question_name",
    names: { openTelemetry: "`dns.question.name`", ecs: "`dns.question.name`" },
    description: "name that is asked for, in lower case; null: not known",
    type: "string",
    nullable: true,
    of: ({ dns }) => (dns ? dns.questionName : undefined),
  },
  {
    name: "dns.response_code",
    names: { openTelemetry: "", ecs: "`dns.response_code`" },
    description: "code of the answer: NOERROR, NXDOMAIN, SERVFAIL, ...; null: no answer was seen",
    type: "string",
    nullable: true,
    of: ({ dns }) => (dns ? dns.responseCode : undefined),
  },
  {
    name: "quic",
    names: NO_NAMES,
    description: "what the first packets tell of QUIC; left out where it is no QUIC",
    type: "object",
    on: { always: [], sometimes: eventKinds },
    of: ({ quic }) => (quic ? true : undefined),
  },
  {
    name: "quic.version",
    names: { openTelemetry: "", ecs: "" },
    description: "version, the server's once it has answered: 1, 2, draft-29",
    type: "string",
    of: ({ quic }) => quic?.version,
  },
  {
    name: "pid",
    names: { openTelemetry: "`process.pid`", ecs: "`process.pid`" },
    description: "process id in the initial pid namespace",
    type: "integer",
    nullable: true,
    of: ({ pid }) => pid,
  },
  {
    name: "comm",
    names: { openTelemetry: "`process.executable.name`", ecs: "`process.name`" },
    description:
      "command name of the process; a byte that is no UTF-8 is U+FFFD; null also: a thread called whose process has another name, which is not known",
    type: "string",
    nullable: true,
    of: ({ comm }) => comm,
  },
  {
    name: "thread",
    names: { openTelemetry: "`thread.name`", ecs: "`process.thread.name`" },
    description:
      "name of the thread that called; only where it is not the process' own name, or that is not known",
    type: "string",
    on: { always: [], sometimes: eventKinds },
    of: ({ thread }) => thread,
  },
  ...attributeNames.map((name): Member => ({
    name,
    ...attributes[name],
    type: "integer",
    nullable: true,
    of: (event) => event[name] ?? null,
  })),
  {
    name: "user",
    names: { openTelemetry: "`user.name`", ecs: "`user.name`" },
    description: "name of that user; only with --resolve",
    type: "string",
    nullable: true,
    on: { always: [], sometimes: eventKinds },
    of: ({ user }) => user,
  },
  {
    name: "cgroup",
    names: { openTelemetry: "`process.linux.cgroup`", ecs: "`process.cgroup`" },
    description: "path of its control group, below where the hierarchy is mounted",
    type: "string",
    nullable: true,
    of: ({ cgroup }) => cgroup ?? null,
  },
  {
    name: "unit",
    names: NO_NAMES,
    description: "systemd's service that the control group is of, nginx.service; left out: none",
    type: "string",
    on: { always: [], sometimes: eventKinds },
    of: ({ cgroup }) => (cgroup ? (unitOf(cgroup) ?? undefined) : undefined),
  },
  {
    name: "container",
    names: { openTelemetry: "`container.id`", ecs: "`container.id`" },
    description: "id of the container that the control group is named after; null also: none",
    type: "string",
    nullable: true,
    of: ({ container }) => container ?? null,
  },
  {
    name: "container_name",
    names: { openTelemetry: "`container.name`", ecs: "`container.name`" },
    description:
      "name of that container, as files of this host tell it (docker, containerd, CRI-O, podman, kubelet)",
    type: "string",
    on: { always: [], sometimes: eventKinds },
    of: ({ containerName }) => containerName,
  },
  {
    name: "image",
    names: { openTelemetry: "`container.image.name`", ecs: "`container.image.name`" },
    description: "image that it runs, from the same files",
    type: "string",
    on: { always: [], sometimes: eventKinds },
    of: ({ image }) => image,
  },
  {
    name: "pod",
    names: { openTelemetry: "`k8s.pod.name`", ecs: "`orchestrator.resource.name`" },
    description: "Kubernetes' name of its pod, from the same files",
    type: "string",
    on: { always: [], sometimes: eventKinds },
    of: ({ pod }) => pod,
  },
  {
    name: "pod_namespace",
    names: { openTelemetry: "`k8s.namespace.name`", ecs: "`orchestrator.namespace`" },
    description: "Kubernetes' namespace of its pod, from the same files",
    type: "string",
    on: { always: [], sometimes: eventKinds },
    of: ({ podNamespace }) => podNamespace,
  },
  {
    name: "args",
    names: { openTelemetry: "`process.command_line`", ecs: "`process.command_line`" },
    description: "its command line, a blank between two arguments; only with --args",
    type: "string",
    nullable: true,
    on: { always: [], sometimes: eventKinds },
    of: ({ args }) => args,
  },
  {
    name: "exe",
    names: { openTelemetry: "`process.executable.path`", ecs: "`process.executable`" },
    description:
      "path of the file that it runs, in its own file system; null: not known, as it was gone; only with --args",
    type: "string",
    nullable: true,
    on: { always: [], sometimes: eventKinds },
    of: ({ exe }) => exe,
  },
  {
    name: "parent_pid",
    names: { openTelemetry: "`process.parent_pid`", ecs: "`process.parent.pid`" },
    description:
      "process id of its parent; null: not known, as it was gone, or it has none; only with --args",
    type: "integer",
    nullable: true,
    on: { always: [], sometimes: eventKinds },
    of: ({ parentPid }) => parentPid,
  },
  {
    name: "parent_comm",
    names: { openTelemetry: "", ecs: "`process.parent.name`" },
    description: "command name of its parent; null: not known; only with --args",
    type: "string",
    nullable: true,
    on: { always: [], sometimes: eventKinds },
    of: ({ parentComm }) => parentComm,
  },
  {
    name: "family",
    names: {
      openTelemetry: "`network.type`: `ipv4`, `ipv6`",
      ecs: "`network.type`: `ipv4`, `ipv6`",
    },
    description: "version of IP; IPv4 over an IPv6 socket is 4",
    type: "integer",
    values: [4, 6],
    of: ({ family }) => family,
  },
  {
    name: "direction",
    names: {
      openTelemetry: "",
      ecs: "`network.direction`: `egress` for outgoing, `ingress` for incoming",
    },
    description: "which end opened the connection: outgoing is this one",
    type: "string",
    values: ["outgoing", "incoming", "unknown"],
    of: ({ direction }) => direction,
  },
  {
    name: "netns",
    names: { openTelemetry: "", ecs: "" },
    description: "inode number of the network namespace",
    type: "integer",
    nullable: true,
    of: ({ netns }) => netns,
  },
  {
    name: "interface",
    names: { openTelemetry: "`network.interface.name`", ecs: "`observer.egress.interface.name`" },
    description:
      "interface of a link-local local address (fe80::/10), the zone of both ends; left out where that is not known",
    type: "string",
    on: { always: [], sometimes: eventKinds },
    of: ({ interface: name }) => name,
  },
  address("local", "this end; null: none was chosen yet", {
    openTelemetry: "`network.local.address`",
    ecs: "`source.ip` of an outgoing connection, else `destination.ip`",
  }),
  port("local", "this end; null: none was chosen yet", {
    openTelemetry: "`network.local.port`",
    ecs: "`source.port`, `destination.port`",
  }),
  address("remote", "the other end; null: not known", {
    openTelemetry: "`network.peer.address`",
    ecs: "`destination.ip` of an outgoing connection, else `source.ip`",
  }),
  port("remote", "the other end; null: not known", {
    openTelemetry: "`network.peer.port`",
    ecs: "`destination.port`, `source.port`",
  }),
  {
    name: "remote.name",
    names: {
      openTelemetry: "`server.address`, `client.address`",
      ecs: "`destination.domain` of an outgoing connection, else `source.domain`",
    },
    description: "name of its address, or null: not known yet; only with --resolve",
    type: "string",
    nullable: true,
    on: { always: [], sometimes: eventKinds },
    of: ({ remote }) => remote.name,
  },
  {
    name: "remote.name_source",
    names: NO_NAMES,
    description:
      "answer: a program of this host has found the address under this name; lookup: it is the name that is found for the address; null: no name is known",
    type: "string",
    nullable: true,
    values: nameSources,
    on: { always: [], sometimes: eventKinds },
    of: ({ remote }) => remote.nameSource,
  },
  {
    name: "nat",
    names: NO_NAMES,
    description:
      "address translation on this host (NAT): the ends that differ from local and remote; " +
      "false: known to be translated nowhere; null: not known. Without objects (CSV, --expect) true is an object",
    type: "object",
    nullable: true,
    orFalse: true,
    of: ({ nat }) => (nat === undefined || nat === null ? null : nat !== false),
  },
  ...translated(
    "local",
    "this end as the other side knows it",
    "`source.nat.*` of an outgoing connection, else `destination.nat.*`",
  ),
  ...translated(
    "remote",
    "the end that really answers, or really asks",
    "`destination.nat.*` of an outgoing connection, else `source.nat.*`",
  ),
  {
    name: "connect_us",
    names: NO_NAMES,
    description:
      "from sending the SYN until the connection was established, or the attempt was over; microseconds; " +
      "null: the SYN left before the trace, or perhaps none was sent",
    type: "integer",
    nullable: true,
    on: { always: ["connect", "fail"], sometimes: [] },
    protocol: "tcp",
    of: ({ kind, protocol, connectNs }) => {
      if (protocol !== "tcp" || (kind !== "connect" && kind !== "fail")) return undefined;
      return typeof connectNs === "bigint" ? connectNs / 1000n : null;
    },
    hole: { form: "integer", slot: "connectUs" },
  },
  {
    name: "accept_us",
    names: NO_NAMES,
    description:
      "how long the established connection waited until accept(2) took it; microseconds; null: with tracepoints, and before Linux 4.20",
    type: "integer",
    nullable: true,
    on: { always: ["accept"], sometimes: [] },
    protocol: "tcp",
    of: ({ kind, protocol, acceptNs }) => {
      if (protocol !== "tcp" || kind !== "accept") return undefined;
      return typeof acceptNs === "bigint" ? acceptNs / 1000n : null;
    },
    hole: { form: "integer", slot: "acceptUs" },
  },
  {
    name: "failure",
    names: { openTelemetry: "`error.type`", ecs: "`error.code`; `event.outcome` is `failure`" },
    description: "name of the errno by which it failed or ended, for instance ECONNREFUSED",
    type: "string",
    nullable: true,
    on: { always: ["fail"], sometimes: ["close"] },
    of: ({ failure }) => (typeof failure === "number" ? errnoText(failure) : failure),
  },
  total("bytes_sent", "bytes the local application wrote", "bytesSent", {
    openTelemetry: "",
    ecs: "`source.bytes` of an outgoing connection, else `destination.bytes`",
  }),
  total("bytes_received", "bytes the local application read", "bytesReceived", {
    openTelemetry: "",
    ecs: "`destination.bytes` of an outgoing connection, else `source.bytes`",
  }),
  total(
    "packets_sent",
    "datagrams sent",
    "segsOut",
    { openTelemetry: "", ecs: "`source.packets`, `destination.packets`" },
    "udp",
  ),
  total(
    "packets_received",
    "datagrams received",
    "segsIn",
    { openTelemetry: "", ecs: "`destination.packets`, `source.packets`" },
    "udp",
  ),
  total(
    "segs_out",
    "segments sent, those without data included",
    "segsOut",
    { openTelemetry: "", ecs: "`source.packets`, `destination.packets`" },
    "tcp",
  ),
  total(
    "segs_in",
    "segments received, those without data included",
    "segsIn",
    { openTelemetry: "", ecs: "`destination.packets`, `source.packets`" },
    "tcp",
  ),
  total(
    "rtt_us",
    "smoothed round-trip time at the end, microseconds",
    "rttUs",
    { openTelemetry: "", ecs: "" },
    "tcp",
  ),
  total(
    "rtt_var_us",
    "its mean deviation, microseconds",
    "rttVarUs",
    { openTelemetry: "", ecs: "" },
    "tcp",
  ),
  total("retransmits", "segments sent again", "retransmits", { openTelemetry: "", ecs: "" }, "tcp"),
  total(
    "duration_us",
    "from connect(2) or accept to the close, of UDP from the first datagram to the last; microseconds",
    "durationUs",
    { openTelemetry: "", ecs: "`event.duration`, which is in nanoseconds: times 1000" },
  ),
];

/** The object that the member stands in, if that can be missing: `nat.local` of `nat.local.port`. */
export const objectOf = ({ name }: Member): Member | undefined =>
  members.find((one) => one.type === "object" && one.name === name.slice(0, name.lastIndexOf(".")));

/** The object for lost events, in the order in which they are written. It is no event: no kind has its `event`. */
export const lostMembers: readonly (Described & {
  of(loss: Loss, wallNs: bigint): string | number | bigint;
})[] = [
  {
    name: "v",
    names: NO_NAMES,
    description: "as in an event",
    type: "integer",
    values: [VERSION],
    of: () => VERSION,
  },
  {
    name: "time",
    names: NO_NAMES,
    description: "when the loss was noticed, UTC with microseconds (RFC 3339)",
    type: "string",
    of: (_, wallNs) => isoMicros(wallNs),
  },
  {
    name: "event",
    names: NO_NAMES,
    description: "lost: events are missing before this line",
    type: "string",
    values: ["lost"],
    of: () => "lost",
  },
  {
    name: "cause",
    names: { openTelemetry: "", ecs: "`event.reason`" },
    description: "why they were lost, in English; one object per cause, at most one per second",
    type: "string",
    of: ({ cause }) => cause,
  },
  {
    name: "count",
    names: { openTelemetry: "", ecs: "" },
    description: "how many, since the last object with this cause",
    type: "integer",
    of: ({ count }) => count,
  },
];

// --- internal ---

function address(end: "local" | "remote", whose: string, names: Names): Member {
  return {
    name: `${end}.address`,
    description: `IP address of ${whose}`,
    names,
    type: "string",
    nullable: true,
    of: (event) => (isUnspecified(event[end].address) ? null : event[end].address),
    ...(end === "remote" ? { hole: { form: "address" } } : {}),
  };
}

function port(end: "local" | "remote", whose: string, names: Names): Member {
  return {
    name: `${end}.port`,
    description: `port of ${whose}`,
    names,
    type: "integer",
    nullable: true,
    of: (event) => (event[end].port === 0 ? null : event[end].port),
    hole: { form: "integer", slot: end === "local" ? "localPort" : "remotePort" },
  };
}

function layer(of: Layer, description: string): Member {
  return {
    name: `application.${of}`,
    description: `${description}; null: not known, or none`,
    names: { openTelemetry: "`network.protocol.name`", ecs: "`network.protocol`" },
    type: "string",
    values: namesOf(of),
    nullable: true,
    of: ({ application }) => (application ? application[of] : undefined),
  };
}

function tlsDetail(
  name: string,
  description: string,
  detail: keyof TlsDetails,
  names: Names,
): Member {
  return {
    name: `tls.${name}`,
    description: `${description}; null: not known`,
    names,
    type: "string",
    nullable: true,
    of: ({ tls }) => (tls ? tls[detail] : undefined),
  };
}

/** `ecs` names the object that has its `ip` and its `port`. */
function translated(end: "local" | "remote", whose: string, ecs: string): Member[] {
  const of = ({ nat }: ConnEvent) => (nat ? nat[end] : undefined);
  const named = (member: string) => ({ openTelemetry: "", ecs: ecs.replaceAll("*", member) });
  return [
    {
      name: `nat.${end}`,
      description: `${whose}; null: it does not differ`,
      names: NO_NAMES,
      type: "object",
      nullable: true,
      of: (event) => of(event) && true,
    },
    {
      name: `nat.${end}.address`,
      description: `IP address of ${whose}`,
      names: named("ip"),
      type: "string",
      of: (event) => of(event)?.address,
    },
    {
      name: `nat.${end}.port`,
      description: `port of ${whose}`,
      names: named("port"),
      type: "integer",
      of: (event) => of(event)?.port,
    },
  ];
}

type TotalSlot = Exclude<
  NonNullable<Hole["slot"]>,
  "at" | "localPort" | "remotePort" | "connectUs" | "acceptUs"
>;

const totalOf: Readonly<Record<TotalSlot, (totals: Totals) => number | bigint | null>> = {
  bytesSent: (of) => of.bytesSent,
  bytesReceived: (of) => of.bytesReceived,
  segsOut: (of) => of.segsOut,
  segsIn: (of) => of.segsIn,
  rttUs: (of) => of.rttUs,
  rttVarUs: (of) => of.rttVarUs,
  retransmits: (of) => of.retransmits,
  durationUs: ({ durationNs }) => (durationNs === null ? null : durationNs / 1000n),
};

/** A number from 0 to 2^64 - 1. Without `protocol`, of both. */
function total(
  name: string,
  description: string,
  slot: TotalSlot,
  names: Names,
  protocol?: Protocol,
): Member {
  return {
    name,
    description,
    names,
    type: "integer",
    nullable: true,
    on: { always: ["close", "sample"], sometimes: ["open"] },
    ...(protocol === undefined ? {} : { protocol }),
    of: ({ totals, protocol: of }) =>
      totals === undefined || (protocol ?? of) !== of ? undefined : totalOf[slot](totals),
    hole: { form: "integer", slot },
  };
}
