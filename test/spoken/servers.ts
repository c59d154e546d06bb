/** The servers, each on all addresses. To add one, add a row; `folder` is its own, and empty. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Server {
  /** Its command; null: another row's process serves this port too. */
  command: ((port: number, folder: string) => readonly string[]) | null;
  /** Programs that refuse to run as root. */
  asNobody?: true;
}

/** Made on the host, by programs.ts: certificate, keys and a database. */
export const made = process.env["SPOKEN_MADE"] ?? "/spoken";
const [certificate, key] = [join(made, "cert.pem"), join(made, "key.pem")];

const python = (script: string, ...rest: (string | number)[]): readonly string[] => [
  ...["/usr/bin/python3", "-S", "-W", "ignore", `${import.meta.dirname}/${script}`],
  ...rest.map(String),
];
const withFile = (folder: string, name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const rows = {
  redis: {
    command: (port) => [
      ...["redis-server", "--port", `${port}`, "--bind", "0.0.0.0", "::"],
      ...["--protected-mode", "no", "--save", ""],
    ],
  },
  memcached: {
    command: (port) => ["memcached", "-u", "root", "-l", "0.0.0.0,::", "-p", `${port}`],
  },
  memcachedBinary: {
    command: (port) => ["memcached", "-u", "root", "-l", "0.0.0.0,::", "-p", `${port}`],
  },
  http: { command: (_, folder) => ["nginx", "-c", nginxIn(folder), "-e", join(folder, "error")] },
  httpKept: { command: null },
  httpProxied: { command: null },
  http2: { command: null },
  tls12: { command: null },
  tls12h2: { command: null },
  tls13: { command: null },
  grpc: { command: (port) => python("grpc_server.py", port) },
  postgres: { command: (port) => postgres(port, "a", "off"), asNobody: true },
  postgresTls: { command: (port) => postgres(port, "b", "on"), asNobody: true },
  mysql: { command: (port, folder) => mariadb(port, folder) },
  mysqlTls: {
    command: (port, folder) => [
      ...mariadb(port, folder),
      ...[`--ssl-cert=${certificate}`, `--ssl-key=${key}`],
    ],
  },
  mongodb: { command: (port) => python("mongo_server.py", port) },
  kafka: { command: (port) => python("stand_in.py", port, "silent") },
  amqp: { command: (port) => python("stand_in.py", port, "amqp") },
  mqtt: {
    command: (port, folder) => [
      "mosquitto",
      "-c",
      withFile(folder, "conf", `listener ${port}\nallow_anonymous true\nuser root\n`),
    ],
  },
  nats: { command: (port) => ["nats-server", "-a", "::", "-p", `${port}`] },
  ssh: {
    command: (port, folder) => [
      ...["/usr/sbin/sshd", "-D", "-p", `${port}`, "-h", join(made, "host_key"), "-f"],
      withFile(folder, "conf", `PidFile ${folder}/pid\nUsePAM no\nMaxStartups 100\n`),
    ],
  },
  smtp: { command: (port) => python("smtp_server.py", port) },
  ftp: {
    command: (port, folder) => [
      "vsftpd",
      withFile(
        folder,
        "conf",
        `listen=NO\nlisten_ipv6=YES\nlisten_port=${port}\nanonymous_enable=YES\nbackground=NO\n` +
          `anon_root=${join(made, "www")}\nftp_username=daemon\nnopriv_user=nobody\nsecure_chroot_dir=${made}\n` +
          "seccomp_sandbox=NO\nxferlog_enable=NO\n",
      ),
    ],
  },
  rsync: {
    command: (port, folder) => [
      ...["rsync", "--daemon", "--no-detach", `--port=${port}`, "--config"],
      withFile(folder, "conf", `use chroot = no\n[all]\npath = ${join(made, "www")}\n`),
    ],
  },
  iperf3: { command: (port) => ["iperf3", "-s", "-p", `${port}`] },
  dns: {
    command: (port) => [
      ...["dnsmasq", "-k", "-C", "/dev/null", "-p", `${port}`, "-R", "-h", "-u", "root", "-x", ""],
      "--address=/example.test/192.0.2.7",
    ],
  },
  quic: {
    command: (port, folder) => ["gtlsserver", "-q", "-d", folder, "*", `${port}`, key, certificate],
  },
  pop3: { command: (port) => python("stand_in.py", port, "ok") },
  strange: { command: (port) => python("stand_in.py", port, "echo") },
} as const satisfies Readonly<Record<string, Server>>;

export type ServerName = keyof typeof rows;
export const servers: Readonly<Record<ServerName, Server>> = rows;
export const serverNames = Object.keys(rows) as ServerName[];

/** From FIRST on: no port that a protocol is known by. */
const FIRST = 21_501;
export const portOf = (name: ServerName): number => FIRST + serverNames.indexOf(name);

// --- internal ---

function nginxIn(folder: string): string {
  const on = (name: ServerName, listen: string, more = "") => {
    const port = portOf(name);
    return `server { listen ${port} ${listen}; listen [::]:${port} ${listen}; ${more} root ${join(made, "www")}; }\n`;
  };
  const tls = (versions: string) =>
    `ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols ${versions};`;
  return withFile(
    folder,
    "conf",
    `daemon off; user root; pid ${folder}/pid; worker_processes 1; events {}\n` +
      `http { access_log off; client_body_temp_path ${folder}; proxy_temp_path ${folder};\n` +
      `fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};\n` +
      on("http", "") +
      on("httpKept", "") +
      on("httpProxied", "proxy_protocol") +
      on("http2", "http2") +
      on("tls12", "ssl", tls("TLSv1.2")) +
      on("tls12h2", "ssl http2", tls("TLSv1.2")) +
      on("tls13", "ssl http2", tls("TLSv1.3")) +
      "}\n",
  );
}

const postgres = (port: number, data: string, ssl: string): readonly string[] => [
  ...["/usr/lib/postgresql/15/bin/postgres", "-D", join(made, `postgres-${data}`), "-p", `${port}`],
  ...["-c", "listen_addresses=*", "-c", `ssl=${ssl}`, "-c", "unix_socket_directories="],
  ...["-c", `ssl_cert_file=${certificate}`, "-c", `ssl_key_file=${join(made, "postgres-key.pem")}`],
  ...["-c", "shared_buffers=8MB", "-c", "fsync=off"],
];

function mariadb(port: number, folder: string): readonly string[] {
  const data = join(folder, "data");
  mkdirSync(data, { recursive: true });
  return [
    ...["mariadbd", "--no-defaults", "--user=root", "--skip-grant-tables", `--datadir=${data}`],
    ...["--skip-innodb", "--default-storage-engine=Aria", "--skip-log-bin", `--port=${port}`],
    ...[`--socket=${join(folder, "socket")}`, `--pid-file=${join(folder, "pid")}`],
    ...["--bind-address=*", "--aria-pagecache-buffer-size=2M", "--key-buffer-size=1M"],
  ];
}
