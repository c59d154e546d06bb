/**
 * Real servers and clients, and what each pair of them speaks. To add a pair, add a row here, a server in servers.ts if it needs
 * a new one, and its programs in programs.ts. Ports say nothing to the tracer: the table finds a connection's pair by them.
 */
import type { PlaceName } from "./places.ts";
import { type ServerName, portOf } from "./servers.ts";

/** `null`: no protocol of the layer is to be named. */
export interface Layers {
  api?: string;
  application?: string;
  encryption?: string;
}

export interface Pair {
  /** As the table of the documents names it. */
  title: string;
  server: ServerName;
  /** The protocols of both ends. */
  speaks: Layers;
  /** Names that may be given beside them, or be missing: TLS 1.3 hides the protocol that it carries. */
  may?: Layers;

  over?: "udp";
  client: (host: string, port: number) => readonly string[];
  /** Lines for the client's standard input. */
  input?: string;
  /** For the middle of a connection: the client waits for a further line before it asks again. Then `input` is what it asks. */
  asksAgain?: true;
  /** The client gives up by itself only after a long time. */
  seconds?: number;
}

const urlHost = (host: string): string => (host.includes(":") ? `[${host}]` : host);
const url = (scheme: string, host: string, port: number, rest = "/"): string =>
  `${scheme}://${urlHost(host)}:${port}${rest}`;
const curl = (...options: string[]): readonly string[] => [
  ...["curl", "-sS", "-k", "-m", "20", "-o", "/dev/null"],
  ...options,
];
/** Curl asks for a name of TLS only where the host is one. */
const named = (host: string, port: number): string[] => [
  ...["--connect-to", `shop.example.test:${port}:${urlHost(host)}:${port}`],
  `https://shop.example.test:${port}/`,
];
const python = (script: string, ...rest: (string | number)[]): readonly string[] => [
  ...["/usr/bin/python3", "-S", "-W", "ignore", `${import.meta.dirname}/${script}`],
  ...rest.map(String),
];
const psql = (host: string, port: number, mode: string): readonly string[] => [
  ...["/usr/lib/postgresql/15/bin/psql", "-q", "-X", "-o", "/dev/null"],
  `host=${host} port=${port} user=nobody dbname=postgres sslmode=${mode} gssencmode=disable`,
];

const rows = {
  redis: {
    title: "redis-server, redis-cli",
    server: "redis",
    speaks: { application: "redis" },
    client: (host, port) => ["redis-cli", "-h", host, "-p", `${port}`],
    input: "PING\n",
    asksAgain: true,
  },
  memcachedText: {
    title: "memcached, commands in text",
    server: "memcached",
    speaks: { application: "memcached" },
    client: (host, port) => python("talk.py", host, port),
    input: "set session 0 0 5\\r\\nhello\\r\\n\nget session\\r\\n\n",
    asksAgain: true,
  },
  memcachedBinary: {
    title: "memcached, memccp (binary)",
    server: "memcachedBinary",
    speaks: { application: "memcached" },
    client: (host, port) => [
      ...["memccp", "--binary", `--servers=${urlHost(host)}:${port}`],
      "/etc/hosts",
    ],
  },
  http: {
    title: "nginx, curl",
    server: "http",
    speaks: { application: "http" },
    client: (host, port) => curl(url("http", host, port)),
  },
  httpKept: {
    title: "nginx, http.client of Python, kept open",
    server: "httpKept",
    speaks: { application: "http" },
    client: (host, port) => python("http_client.py", host, port),
    input: "/\n/big\n",
    asksAgain: true,
  },
  httpProxied: {
    title: "nginx behind a PROXY header, curl",
    server: "httpProxied",
    speaks: { application: "http" },
    client: (host, port) => curl("--haproxy-protocol", url("http", host, port)),
  },
  http2: {
    title: "nginx, curl, HTTP/2 without TLS",
    server: "http2",
    speaks: { application: "http2" },
    client: (host, port) => curl("--http2-prior-knowledge", url("http", host, port)),
  },
  tls12: {
    title: "nginx with TLS 1.2, curl with HTTP/1.1",
    server: "tls12",
    speaks: { encryption: "tls", application: "http" },
    client: (host, port) => curl("--http1.1", ...named(host, port)),
  },
  tls12h2: {
    title: "nginx with TLS 1.2, curl with HTTP/2",
    server: "tls12h2",
    speaks: { encryption: "tls", application: "http2" },
    client: (host, port) => curl("--http2", ...named(host, port)),
  },
  tls13: {
    title: "nginx with TLS 1.3, curl with HTTP/2",
    server: "tls13",
    speaks: { encryption: "tls" },
    may: { application: "http2" },
    client: (host, port) => curl("--http2", ...named(host, port)),
  },
  grpc: {
    title: "gRPC's server and client of Python",
    server: "grpc",
    speaks: { api: "grpc", application: "http2" },
    client: (host, port) => python("grpc_client.py", `${urlHost(host)}:${port}`),
    seconds: 60,
  },
  postgres: {
    title: "PostgreSQL 15, psql",
    server: "postgres",
    speaks: { application: "postgres" },
    client: (host, port) => psql(host, port, "disable"),
    input: "select 1;\nselect 2;\n",
    asksAgain: true,
  },
  postgresTls: {
    title: "PostgreSQL 15 with TLS 1.3, psql",
    server: "postgresTls",
    speaks: { application: "postgres", encryption: "tls" },
    client: (host, port) => psql(host, port, "require"),
    input: "select 1;\n",
  },
  mysql: {
    title: "MariaDB 10.11 and its client",
    server: "mysql",
    speaks: { application: "mysql" },
    client: (host, port) => [
      ...["mariadb", "--no-defaults", "--skip-ssl", "--protocol=tcp", "-n", "-h", host],
      ...["-P", `${port}`, "-u", "root"],
    ],
    input: "select 1;\nselect 2;\n",
    asksAgain: true,
  },
  mysqlTls: {
    title: "MariaDB 10.11 with TLS 1.3 and its client",
    server: "mysqlTls",
    speaks: { application: "mysql", encryption: "tls" },
    client: (host, port) => [
      ...["mariadb", "--no-defaults", "--ssl", "--protocol=tcp", "-n", "-h", host],
      ...["-P", `${port}`, "-u", "root"],
    ],
    input: "select 1;\n",
  },
  mongodb: {
    title: "a stand-in of 40 lines, pymongo",
    server: "mongodb",
    speaks: { application: "mongodb" },
    client: (host, port) => python("mongo_client.py", `mongodb://${urlHost(host)}:${port}`),
    seconds: 60,
  },
  kafka: {
    title: "a stand-in that never answers, kcat",
    server: "kafka",
    speaks: { application: "kafka" },
    client: (host, port) => ["kcat", "-L", "-m", "3", "-b", `${urlHost(host)}:${port}`],
    seconds: 30,
  },
  amqp: {
    title: "a stand-in that greets, amqp-publish",
    server: "amqp",
    speaks: { application: "amqp" },
    client: (host, port) => [
      "amqp-publish",
      "-s",
      urlHost(host),
      "--port",
      `${port}`,
      "-r",
      "a",
      "-b",
      "b",
    ],
    seconds: 30,
  },
  mqtt: {
    title: "mosquitto, mosquitto_pub",
    server: "mqtt",
    speaks: { application: "mqtt" },
    client: (host, port) => ["mosquitto_pub", "-h", host, "-p", `${port}`, "-t", "a", "-m", "b"],
  },
  nats: {
    title: "nats-server, commands in text",
    server: "nats",
    speaks: { application: "nats" },
    client: (host, port) => python("talk.py", host, port),
    input: 'CONNECT {"verbose":false,"lang":"talk"}\\r\\nPING\\r\\n\nPUB a 2\\r\\nhi\\r\\n\n',
  },
  ssh: {
    title: "sshd, ssh",
    server: "ssh",
    speaks: { application: "ssh" },
    client: (host, port) => [
      ...["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"],
      ...["-o", "UserKnownHostsFile=/dev/null", "-p", `${port}`, `nobody@${host}`, "true"],
    ],
  },
  smtp: {
    title: "smtpd of Python, curl",
    server: "smtp",
    speaks: { application: "smtp" },
    client: (host, port) =>
      curl(
        ...["--mail-from", "a@example.test", "--mail-rcpt", "b@example.test"],
        ...["-T", "/etc/hosts", url("smtp", host, port)],
      ),
  },
  ftp: {
    title: "vsftpd, curl",
    server: "ftp",
    speaks: { application: "ftp" },
    client: (host, port) => curl(url("ftp", host, port)),
  },
  rsync: {
    title: "rsync's daemon and rsync",
    server: "rsync",
    speaks: { application: "rsync" },
    client: (host, port) => [
      "rsync",
      "-q",
      `rsync://${urlHost(host)}:${port}/all/index.html`,
      "/tmp/",
    ],
  },
  iperf3: {
    title: "iperf3 with two streams",
    server: "iperf3",
    speaks: { application: "iperf3" },
    client: (host, port) => ["iperf3", "-c", host, "-p", `${port}`, "-n", "64K", "-P", "2"],
    seconds: 60,
  },
  dns: {
    title: "dnsmasq, dig over TCP",
    server: "dns",
    speaks: { application: "dns" },
    client: (host, port) => [
      ...["dig", "+tcp", "+tries=1", "+time=9", `@${host}`, "-p", `${port}`, "a.example.test"],
    ],
  },
  dnsUdp: {
    title: "dnsmasq, dig over UDP",
    server: "dns",
    speaks: { application: "dns" },
    over: "udp",
    client: (host, port) => [
      ...["dig", "+tries=3", "+time=3", `@${host}`, "-p", `${port}`, "a.example.test"],
    ],
  },
  quic: {
    title: "ngtcp2's server and client",
    server: "quic",
    speaks: { encryption: "quic" },
    over: "udp",
    client: (host, port) => [
      ...["gtlsclient", "-q", "--exit-on-all-streams-close", host, `${port}`],
      `https://shop.example.test:${port}/`,
    ],
    seconds: 30,
  },
  pop3: {
    title: "a server that answers `+OK`, `USER a`",
    server: "pop3",
    speaks: {},
    client: (host, port) => python("talk.py", host, port),
    input: "USER a\\r\\n\nPASS b\\r\\n\n",
    asksAgain: true,
  },
  strange: {
    title: "bytes of no protocol, in both directions",
    server: "strange",
    speaks: {},
    client: (host, port) => python("talk.py", host, port),
    input: "\\x00\\x01\\x02\\x03 nobody knows\n\\xff\\xfe\\xfd of what this is\n",
    asksAgain: true,
  },
} as const satisfies Readonly<Record<string, Pair>>;

export type PairName = keyof typeof rows;
export const pairs: Readonly<Record<PairName, Pair>> = rows;
export const pairNames = Object.keys(rows) as PairName[];

/** The pair whose server has the port, at this place. */
export function pairAt(port: number, protocol: string, place: PlaceName): PairName | null {
  if (place === "reused") return portOf(REUSED.server) === port ? REUSED.by : null;
  const at = pairNames.find(
    (name) => portOf(pairs[name].server) === port && (pairs[name].over ?? "tcp") === protocol,
  );
  return at ?? null;
}

/** The server that ends there, and the pair that gets its port. */
export const REUSED = { server: "redis", by: "grpc" } as const satisfies {
  server: ServerName;
  by: PairName;
};
