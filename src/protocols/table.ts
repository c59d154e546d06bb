/**
 * The protocols that are recognised by a connection's first bytes, each once: names, layers, recognisers and the table in the
 * documents come from here. The room is pure: it reaches for nothing outside.
 *
 * To add a protocol, add a row here, a recogniser in the file of its kind, and at least two payloads of real programs in
 * test/unit/drive/payloads.ts. A recogniser answers true only if no other protocol's bytes look so: a wrong name is worse than
 * none. A port is no evidence. It is called only for the first bytes that its row names: most looks are at bytes that few rows
 * can mean, by a runtime that has compiled nothing yet.
 */
import { isMemcached, isMongo, isMysql, isPostgres, isRedis } from "./databases.ts";
import { isDns, isDnsOverTcp } from "./dns.ts";
import { isFtp, isIperf3, isRsync, isSmtp, isSsh } from "./greetings.ts";
import { isGrpc, isHttp, isHttp2 } from "./http.ts";
import { isAmqp, isKafka, isMqtt, isNats } from "./queues.ts";
import { isQuic } from "./quic.ts";
import type { Seen } from "./seen.ts";
import { isTls } from "./tls.ts";

/** `encryption` carries `application`, which carries `api`. */
export type Layer = "api" | "application" | "encryption";

export interface Row {
  layer: Layer;
  /** As people write it. */
  title: string;
  /** For people: the bytes by which it is recognised. */
  by: string;
  /** Left out: it is not looked for there. */
  tcp?: (seen: Seen) => boolean | null;
  udp?: (seen: Seen) => boolean;
  /** The bytes with which what is recognised can begin, and ranges of them; left out: any byte. */
  first?: readonly (number | readonly [from: number, to: number])[];
  /** The protocol that carries it: it is looked for only there. */
  over?: string;
  /** Its names in ALPN (RFC 7301): within TLS both ends have agreed on one. */
  alpn?: readonly string[];
}

export type Transport = "tcp" | "udp";

/** The first byte of each of several texts. */
const firstOf = (letters: string): number[] => [...letters].map((letter) => letter.charCodeAt(0));

/** Within a layer the first match counts. The protocols that most connections speak are first. */
const rows = {
  tls: {
    layer: "encryption",
    title: "TLS",
    by: "a ClientHello, a ServerHello or a refusal; later a segment that begins a record",
    tcp: isTls,
    first: [0x15, 0x16, 0x17],
  },
  http: {
    layer: "application",
    title: "HTTP/1.0, HTTP/1.1",
    by: "a request line or a status line",
    tcp: isHttp,
    first: firstOf("GHPDTOC"),
    alpn: ["http/1.1", "http/1.0"],
  },
  http2: {
    layer: "application",
    title: "HTTP/2",
    by: "the client's preface or the server's first SETTINGS frame",
    tcp: isHttp2,
    first: [0, ...firstOf("P")],
    alpn: ["h2"],
  },
  postgres: {
    layer: "application",
    title: "PostgreSQL",
    by: "the start of a session, a request for TLS, authentication; later a query in SQL",
    tcp: isPostgres,
    first: [0, ...firstOf("R1CQP")],
    alpn: ["postgresql"],
  },
  mysql: {
    layer: "application",
    title: "MySQL, MariaDB",
    by: "the server's greeting or the client's login; later a query in SQL",
    tcp: isMysql,
  },
  mongodb: {
    layer: "application",
    title: "MongoDB",
    by: "the header of a message and its first section; also later",
    tcp: isMongo,
  },
  redis: {
    layer: "application",
    title: "Redis, Valkey",
    by: "a command, or another array or map of texts; also later",
    tcp: isRedis,
    first: firstOf("*>%"),
  },
  kafka: {
    layer: "application",
    title: "Kafka",
    by: "a request with its length, its API key and its client's name; also later",
    tcp: isKafka,
    first: [0],
  },
  amqp: {
    layer: "application",
    title: "AMQP 0-9-1, AMQP 1.0",
    by: "the protocol header; later a method frame of 0-9-1",
    tcp: isAmqp,
    first: [1, ...firstOf("A")],
  },
  memcached: {
    layer: "application",
    title: "memcached",
    by: "commands that store, answers with a value, binary messages; also later",
    tcp: isMemcached,
    first: [0x80, 0x81, ...firstOf("sarpcVE")],
  },
  mqtt: {
    layer: "application",
    title: "MQTT 3.1 to 5",
    by: "CONNECT",
    tcp: isMqtt,
    first: [0x10],
    alpn: ["mqtt"],
  },
  nats: {
    layer: "application",
    title: "NATS",
    by: "the server's INFO or the client's CONNECT",
    tcp: isNats,
    first: firstOf("IC"),
  },
  ssh: {
    layer: "application",
    title: "SSH",
    by: "the version line of either end",
    tcp: isSsh,
    first: firstOf("S"),
  },
  smtp: {
    layer: "application",
    title: "SMTP",
    by: "a greeting that says SMTP, or EHLO",
    tcp: isSmtp,
    first: firstOf("2EeHhLl"),
  },
  ftp: {
    layer: "application",
    title: "FTP",
    by: "a greeting that says FTP, or a first command behind another one; later an answer that names a port",
    tcp: isFtp,
    first: firstOf("2UuAaFf"),
    alpn: ["ftp"],
  },
  dns: {
    layer: "application",
    title: "DNS",
    by: "a whole header with one question; over TCP also its length",
    tcp: isDnsOverTcp,
    udp: isDns,
    alpn: ["dot"],
  },
  rsync: {
    layer: "application",
    title: "rsync",
    by: "the version line of either end, where no SSH carries it",
    tcp: isRsync,
    first: firstOf("@"),
  },
  iperf3: {
    layer: "application",
    title: "iperf3",
    by: "the cookie with which the client begins each connection",
    tcp: isIperf3,
    first: [
      [0x61, 0x7a],
      [0x32, 0x37],
    ],
  },
  quic: {
    layer: "encryption",
    title: "QUIC",
    by: "the long header of a known version",
    udp: isQuic,
    first: [[0xc0, 0xff]],
  },
  grpc: {
    layer: "api",
    title: "gRPC",
    by: "the content type of a request or an answer",
    tcp: isGrpc,
    over: "http2",
  },
} as const satisfies Readonly<Record<string, Row>>;

export type ProtocolName = keyof typeof rows;
type Of<L extends Layer> = {
  [N in ProtocolName]: (typeof rows)[N] extends { layer: L } ? N : never;
}[ProtocolName];
export type Api = Of<"api">;
export type ApplicationProtocol = Of<"application">;
export type Encryption = Of<"encryption">;

export const protocolTable: Readonly<Record<ProtocolName, Row>> = rows;
export const protocolNames = Object.keys(rows) as ProtocolName[];
export const namesOf = (layer: Layer): ProtocolName[] =>
  protocolNames.filter((name) => protocolTable[name].layer === layer);

/** Recognises the layer's protocol that these bytes are certain to be; `null`: none. `carrier` carries it, if that is known. */
export function recognise(
  layer: Layer,
  transport: Transport,
  seen: Seen,
  carrier: ProtocolName | null = null,
): ProtocolName | null {
  const byFirst = recognisers[transport][layer];
  const first = seen.u8(0);
  if (first < 0) return null;
  for (const { name, over, match } of (byFirst[first] ??= allowing(transport, layer, first)))
    if ((over === undefined || over === carrier) && match(seen) === true) return name;
  return null;
}

/** The protocol that has this name in ALPN; `null`: none that is known here. */
export const byAlpn = (name: string | null): ApplicationProtocol | null =>
  name === null ? null : (alpnNames.get(name) ?? null);

// --- internal ---

const alpnNames = new Map(
  (namesOf("application") as ApplicationProtocol[]).flatMap((name) =>
    (protocolTable[name].alpn ?? []).map((alpn) => [alpn, name] as const),
  ),
);

interface Recogniser {
  name: ProtocolName;
  over: string | undefined;
  match: (seen: Seen) => boolean | null;
}

/** The recognisers that the first byte allows. */
const allowing = (transport: Transport, layer: Layer, byte: number): Recogniser[] =>
  namesOf(layer).flatMap((name) => {
    const { over, first, [transport]: match } = protocolTable[name];
    if (match === undefined || (first !== undefined && !first.some((one) => covers(one, byte))))
      return [];
    return [{ name, over, match }];
  });

const covers = (one: number | readonly [number, number], byte: number): boolean =>
  typeof one === "number" ? one === byte : byte >= one[0] && byte <= one[1];

/** By the first byte, each list made when it is first asked for: most bytes never come. */
const byLayer = () => ({
  api: [] as Recogniser[][],
  application: [] as Recogniser[][],
  encryption: [] as Recogniser[][],
});
const recognisers = { tcp: byLayer(), udp: byLayer() };
