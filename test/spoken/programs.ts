/** Packs the programs that pairs.ts and servers.ts name, as this host has them, with the libraries that they need. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { installMissing } from "../../src/build/apt.ts";
import { directory, file, type Entry } from "../vm/cpio.ts";
import { runShell } from "../vm/process.ts";

/** Debian's package of each program. */
const programs: Readonly<Record<string, string>> = {
  "/usr/bin/redis-server": "redis-server",
  "/usr/bin/redis-cli": "redis-tools",
  "/usr/bin/redis-benchmark": "redis-tools",
  "/usr/bin/ab": "apache2-utils",
  "/usr/bin/memcached": "memcached",
  "/usr/bin/memccp": "libmemcached-tools",
  "/usr/sbin/nginx": "nginx-light",
  "/usr/bin/curl": "curl",
  "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
  "/usr/lib/postgresql/15/bin/psql": "postgresql-client-15",
  "/usr/sbin/mariadbd": "mariadb-server-core",
  "/usr/bin/mariadb": "mariadb-client-core",
  "/usr/sbin/mosquitto": "mosquitto",
  "/usr/bin/mosquitto_pub": "mosquitto-clients",
  "/usr/sbin/sshd": "openssh-server",
  "/usr/bin/ssh": "openssh-client",
  "/usr/sbin/vsftpd": "vsftpd",
  "/usr/sbin/dnsmasq": "dnsmasq-base",
  "/usr/bin/dig": "bind9-dnsutils",
  "/usr/bin/kcat": "kcat",
  "/usr/bin/amqp-publish": "amqp-tools",
  "/usr/sbin/nats-server": "nats-server",
  "/usr/sbin/gtlsserver": "ngtcp2-server",
  "/usr/bin/gtlsclient": "ngtcp2-client",
  "/usr/bin/python3.11": "python3",
  "/usr/bin/unshare": "util-linux",
  "/usr/bin/setpriv": "util-linux",
  "/usr/bin/rsync": "rsync",
  "/usr/bin/iperf3": "iperf3",
  "/usr/sbin/ethtool": "ethtool",
  "/usr/sbin/iptables-legacy": "iptables",
  "/usr/sbin/iptables": "iptables",
  "/usr/bin/ip": "iproute2",
};

/** Folders that these programs read, and what is left out of them. */
const folders: Readonly<Record<string, { package?: string; without?: RegExp }>> = {
  "/usr/lib/python3.11": {
    without:
      /\/(?:test|idlelib|lib2to3|ensurepip|unittest|pydoc_data|config-[^/]*|tkinter)(?:\/|$)/,
  },
  "/usr/lib/python3/dist-packages/grpc": { package: "python3-grpcio" },
  "/usr/lib/python3/dist-packages/bson": { package: "python3-bson" },
  "/usr/lib/python3/dist-packages/pymongo": { package: "python3-pymongo" },
  "/usr/share/postgresql/15": { without: /\/(?:extension|man|tsearch_data)(?:\/|$)/ },
  "/usr/share/mysql/english": {},
  "/usr/share/mysql/charsets": {},
  "/usr/share/zoneinfo/Etc": {},
  "/usr/lib/x86_64-linux-gnu/xtables": {},
  "/usr/lib/postgresql/15/lib/plpgsql.so": {},
};

const users = [
  "root:x:0:0:root:/root:/bin/sh",
  "daemon:x:1:1::/:/bin/false",
  "sshd:x:101:65534::/run/sshd:/bin/false",
];

export function installPrograms(): void {
  installMissing("the table of protocols", [
    ...Object.entries(programs).map(([proof, name]) => ({ name, proof })),
    ...Object.entries(folders).flatMap(([proof, { package: name }]) =>
      name ? [{ name, proof }] : [],
    ),
  ]);
}

/** Everything that a guest needs beside its own files; `made`: of makeFiles(). */
export async function packPrograms(made: string): Promise<Entry[]> {
  const paths = [
    ...Object.keys(programs),
    ...Object.entries(folders).flatMap(([path, { without }]) => filesBelow(path, without)),
  ];
  const libraries = await librariesOf(paths.filter((path) => isElf(path)));
  return [
    ...[...new Set([...paths, ...libraries])].map((path) => copied(path, inGuest(path))),
    ...filesBelow(made, /\/results$/).map((path) =>
      copied(path, join("spoken", path.slice(made.length))),
    ),
    ...emptyFoldersOf(made).map((path) => directory(join("spoken", path.slice(made.length)))),
    file("usr/bin/python3", readFileSync("/usr/bin/python3.11"), true),
    file("etc/passwd", [...users, "nobody:x:65534:65534:nobody:/:/bin/sh", ""].join("\n")),
    file("run/sshd/empty", ""),
  ];
}

/** A certificate, keys, a page and a database for each of two servers, in a folder of its own. */
export async function makeFiles(into: string): Promise<void> {
  mkdirSync(into, { recursive: true });
  const { uid } = lstatSync(into);
  // Anybody may make a folder there, and root would trust what it holds.
  if (uid !== process.getuid!())
    throw new Error(`${into}: it belongs to user ${uid}; delete it, and start again`);
  if (existsSync(join(into, "done"))) return;
  mkdirSync(join(into, "www"), { recursive: true });
  await runShell(
    `cd "$1"; openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 3650 \
      -subj /CN=shop.example.test -addext subjectAltName=DNS:shop.example.test 2>/dev/null
    cp key.pem postgres-key.pem; chmod 600 postgres-key.pem; chown nobody postgres-key.pem
    ssh-keygen -q -t ed25519 -N "" -f host_key
    for name in a b; do
      mkdir "postgres-$name"; chown nobody "postgres-$name"
      su -s /bin/sh nobody -c "/usr/lib/postgresql/15/bin/initdb -D $1/postgres-$name -A trust -U nobody \
        --no-locale -E UTF8 --no-sync" >/dev/null
      echo "host all all all trust" >> "postgres-$name/pg_hba.conf"
    done`,
    into,
  );
  writeFileSync(join(into, "www/index.html"), "hello\n");
  writeFileSync(join(into, "www/big"), "x".repeat(200_000));
  writeFileSync(join(into, "done"), "");
}

// --- internal ---

/** /bin and /lib are folders of their own in a guest, which hold its busybox and its libc. */
const inGuest = (path: string): string => path.replace(/^\/(?:usr\/)?lib64\//, "/lib64/").slice(1);

function copied(path: string, name: string): Entry {
  return file(name, readFileSync(path), (statSync(path).mode & 0o111) !== 0);
}

function filesBelow(path: string, without?: RegExp): string[] {
  if (without?.test(path) || !existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return statSync(path).isFile() ? [path] : [];
  return readdirSync(path).flatMap((name) => filesBelow(join(path, name), without));
}

function emptyFoldersOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [];
  const names = readdirSync(path);
  return names.length === 0 ? [path] : names.flatMap((name) => emptyFoldersOf(join(path, name)));
}

const isElf = (path: string): boolean =>
  readFileSync(path).subarray(0, 4).toString("latin1") === "\x7fELF";

/** All libraries by the path at which the loader looks for them, and the loader itself. */
async function librariesOf(paths: readonly string[]): Promise<string[]> {
  const child = Bun.spawn(["ldd", ...paths.map((path) => realpathSync(path))], {
    stderr: "ignore",
  });
  const text = await new Response(child.stdout).text();
  const found = [...text.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, path]) => path!);
  return [...new Set(found)];
}
