/**
 * The recipes of docs/fleet.md with Debian's own programs: Prometheus scrapes a trace, the node exporter reads its file, rsyslog
 * sends lines on, ClickHouse joins them, VictoriaMetrics receives OTLP. Needs root and Debian's archive; nothing is installed.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { ARCHES, HOST } from "../../src/build/arch.ts";
import { modes } from "../kernel/drive/modes.ts";
import * as peer from "../kernel/drive/peer.ts";
import { binary, plainEnvironment, Tracer } from "../kernel/drive/tracer.ts";
import { decode, logsRequest, metricsRequest, type Message } from "../unit/drive/otlp_proto.ts";
import { fetchPackages } from "../vm/fetch.ts";
import { enginePackages, receiverPackages } from "../vm/packages.ts";
import { authorityIn, canCertify, type Certified, certifiedBy } from "./certificates.ts";
import { canBeTwoHosts, type Host, runsOn, succeed, twoHosts, within } from "./two_hosts.ts";

setDefaultTimeout(180_000);

const ADDRESS = "127.0.0.78";
const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-engines-"));
const file = join(directory, "textfile/tracer-bpf.prom");
const fleet = readFileSync(new URL("../../docs/fleet.md", import.meta.url), "utf8");
const children: { kill(): void; exited: Promise<unknown> }[] = [];
let programs: string;
let tracer: Tracer;
let metrics: string;
let sent = 0;
let received = 0;

beforeAll(async () => {
  mkdirSync(join(directory, "textfile"));
  programs = join(await fetchPackages(ARCHES[HOST].debian, "engines", enginePackages), "usr/bin");
  const flags = ["--metrics-file", file, "--metrics-labels", "process,direction,remote"];
  tracer = await Tracer.start(modes[0]!, ["--metrics", "0", ...flags]);
  metrics = await tracer.until(
    () => /metrics at (http:\S+)/.exec(tracer.stderr)?.[1],
    "line with the place of the metrics",
  );
  // Stays open: its bytes are known by samples.
  const listener = new peer.Listener(ADDRESS);
  const client = peer.dial(ADDRESS, listener.port);
  const server = listener.accept();
  peer.transfer(client, server, 123_457);
  peer.transfer(server, client, 89);
  ({ sent, received } = client.truth);
  for (const end of Object.values(peer.pair())) end.close();
});

afterAll(async () => {
  for (const child of children) child.kill();
  await Promise.all(children.map(({ exited }) => exited));
  await tracer.stop();
  rmSync(directory, { recursive: true });
});

test("promtool finds nothing to say about a scrape", async () => {
  // A histogram as well: it begins with the first connection that ends.
  const text = await until(metrics, (seen) => seen.includes("tcp_rtt_seconds_bucket"));
  const check = Bun.spawn([join(programs, "promtool"), "check", "metrics"], {
    stdin: Buffer.from(text),
    stderr: "pipe",
  });
  expect(await new Response(check.stderr).text()).toBe("");
  expect(await check.exited).toBe(0);
});

test("Prometheus scrapes the trace, and has the peer's own counts", async () => {
  const port = freePort();
  const config = join(directory, "prometheus.yml");
  const job = { job_name: "tracer-bpf", static_configs: [{ targets: [new URL(metrics).host] }] };
  writeFileSync(
    config,
    JSON.stringify({ global: { scrape_interval: "500ms" }, scrape_configs: [job] }),
  );
  start("prometheus", [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(directory, "tsdb")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  const query = `sum by (io) (tracer_bpf_tcp_bytes_total{remote="${ADDRESS}",direction="outgoing"})`;
  const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
  const answer = await until(url, (text) => text.includes(`"${sent}"`));
  const rows = (JSON.parse(answer) as Answer).data.result;
  const values = rows.map(({ metric, value }) => [metric["io"], Number(value[1])] as const);
  expect(Object.fromEntries(values)).toEqual({ transmit: sent, receive: received });
  expect(sent).toBe(123_457);
  for (const expression of dashboardQueries()) {
    const asked = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`;
    const { status } = (await (await fetch(asked)).json()) as { status: string };
    expect([expression, status]).toEqual([expression, "success"]);
  }
});

test("the node exporter reads the file, while it is written and when the trace is over", async () => {
  const port = freePort();
  start("prometheus-node-exporter", [
    `--web.listen-address=127.0.0.1:${port}`,
    `--collector.textfile.directory=${join(directory, "textfile")}`,
    "--collector.disable-defaults",
    "--collector.textfile",
  ]);
  const url = `http://127.0.0.1:${port}/metrics`;
  const text = await until(url, (seen) => /^tracer_bpf_running 1$/m.test(seen));
  expect(text).toContain("node_textfile_scrape_error 0");
  expect(await tracer.stop()).toBe(0);
  const over = await until(url, (seen) => /^tracer_bpf_running 0$/m.test(seen));
  expect(over).toContain(
    `tracer_bpf_tcp_bytes_total{direction="outgoing",io="transmit",process="${nameOfSelf()}",remote="${ADDRESS}"} ${sent}`,
  );
  expect(readFileSync(file, "utf8")).not.toContain("open_connections");
});

test("rsyslog sends each line on as it is, and keeps those of failures", async () => {
  const utf8 = new TextDecoder();
  let got = "";
  using receiver = Bun.listen({
    ...{ hostname: "127.0.0.1", port: 0 },
    socket: { data: (_, bytes) => void (got += utf8.decode(bytes, { stream: true })) },
  });
  const [lines, failed] = [join(directory, "lines.jsonl"), join(directory, "failed.jsonl")];
  const [, recipe] = /```rsyslog\n([^]*?)```/.exec(fleet)!;
  const config = join(directory, "rsyslog.conf");
  const libraries = join(programs, "../lib", ARCHES[HOST].triplet);
  const ours = recipe!
    .replaceAll("/var/log/tracer-bpf.jsonl", lines)
    .replaceAll("/var/log/tracer-bpf-failed.jsonl", failed)
    .replace("logs.example", "127.0.0.1")
    .replace('"10514"', `"${receiver.port}"`);
  writeFileSync(config, `global(workDirectory="${directory}")\n${ours}`);
  const names = { connect: 'a"b\u001b[2J %msg%', fail: "curl", close: "ü".repeat(9000) };
  const written = Object.entries(names).map(
    ([kind, comm]) => `${JSON.stringify({ v: 1, event: kind, comm })}\n`,
  );
  writeFileSync(lines, written.slice(0, 2).join(""));
  start("../sbin/rsyslogd", ["-n", "-f", config, "-i", join(directory, "rsyslog.pid")], {
    LD_LIBRARY_PATH: libraries,
    RSYSLOG_MODDIR: join(libraries, "rsyslog"),
  });
  await come("the lines", () => got.split("\n").length > 2);
  appendFileSync(lines, written[2]!);
  await come("the last line", () => got.split("\n").length > 3);
  expect(got).toBe(written.join(""));
  await come("the failure", () => existsSync(failed) && readFileSync(failed, "utf8") !== "");
  expect(readFileSync(failed, "utf8")).toBe(written[1]!);
});

test.skipIf(Bun.which("curl") === null || !canBeTwoHosts)(
  "ClickHouse joins both ends of a connection between two hosts, each with a trace of its own",
  async () => {
    const folder = join(directory, "clickhouse");
    mkdirSync(folder);
    const port = freePort();
    const settings = join(folder, "config.xml");
    writeFileSync(settings, clickhouseConfig(folder, port));
    writeFileSync(join(folder, "users.xml"), CLICKHOUSE_USERS);
    const { triplet } = ARCHES[HOST];
    const libraries = ["../lib", "../../lib"].map((lib) => join(programs, lib, triplet)).join(":");
    start("../sbin/clickhouse-server", [`--config-file=${settings}`], {
      LD_LIBRARY_PATH: libraries,
    });
    const at = `http://127.0.0.1:${port}/`;
    const [web, db] = await twoHosts(["web", "db"]);
    children.push(web.holder, db.holder);
    const traces = await Promise.all([web, db].map((host) => traceInto(folder, host)));
    const net = 'const net = require("node:net");';
    const server = `net.createServer((one) => one.resume()).listen(5432, "${db.address}", () => console.log("there"))`;
    children.push(await runsOn(db, net + server));
    for (const bytes of [1_234_567, 100])
      await runsOn(
        web,
        `${net} net.connect(5432, "${db.address}").end(Buffer.alloc(${bytes})).on("close", () => console.log("over"))`,
      );
    const closes = (csv: string) => readFileSync(csv, "utf8").match(/,close,/g)?.length ?? 0;
    await come("the closes of both hosts", () => traces.every(({ csv }) => closes(csv) === 2));
    await until(at, (text) => text.includes("Ok."));
    const [, script] = /```sh\n([^]*?)```/.exec(fleet)!;
    for (const { host, csv, child } of traces) {
      child.kill("SIGINT");
      expect(await child.exited).toBe(0);
      const ours = script!
        .replaceAll("/var/log/tracer-bpf.csv", csv)
        .replace("http://127.0.0.1:8123/", at);
      // The name of the host is its own, its network is not: the recipe sends to another host.
      succeed(["nsenter", "--uts", "--target", `${host.holder.pid}`, "--", "sh", "-c", ours]);
    }
    const [, query] = /```sql\n([^]*?)```/.exec(fleet)!;
    const answer = await (await fetch(at, { method: "POST", body: query! })).text();
    const name = basename(process.execPath);
    expect(answer).toBe(`web\t${name}\tdb\t${name}\t5432\t2\t1234667\t1234667\n`);
  },
);

describe.skipIf(!canCertify)("a receiver of OTLP whose authority only we know", () => {
  const environment = { OTEL_EXPORTER_OTLP_CERTIFICATE: join(directory, "authority.pem") };
  let server: Certified;
  let client: Certified;
  beforeAll(() => {
    const authority = authorityIn(directory);
    server = certifiedBy(authority, join(directory, "server"));
    client = certifiedBy(authority, join(directory, "client"));
  });

  test("gets each line as a log record, and the metrics, if the trace has the certificate it asks for", async () => {
    const requests: { path: string; body: Uint8Array }[] = [];
    using receiver = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: {
        cert: Bun.file(server.cert),
        key: Bun.file(server.key),
        ca: Bun.file(environment.OTEL_EXPORTER_OTLP_CERTIFICATE),
        requestCert: true,
        rejectUnauthorized: true,
      },
      async fetch(request) {
        requests.push({ path: new URL(request.url).pathname, body: await request.bytes() });
        return new Response(new Uint8Array());
      },
    });
    const flags = ["--otlp", `https://127.0.0.1:${receiver.port}`];
    const child = await startWith(flags, {
      ...environment,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: client.cert,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: client.key,
    });
    for (let n = 0; n < 20; n++) for (const end of Object.values(peer.pair())) end.close();
    await child.until(
      () => child.events.filter(({ event }) => event === "close").length >= 40,
      "closes",
    );
    expect(await child.stop()).toBe(0);
    expect(child.stderr).toMatch(/none lost/);
    const names = requests
      .filter(({ path }) => path === "/v1/logs")
      .flatMap(({ body }) => recordsOf(decode(body, logsRequest)))
      .map((record) => record["event_name"]);
    expect(names).toEqual(child.events.map(({ event }) => `tracer_bpf.${event}`));
    const last = requests.findLast(({ path }) => path === "/v1/metrics");
    expect(decode(last!.body, metricsRequest)["resource_metrics"]).toHaveLength(1);
    // A receiver that the host does not trust gets nothing, nor does one that does not trust the trace.
    const before = requests.length;
    const refused = await Promise.all([{}, environment].map((some) => startWith(flags, some)));
    for (const end of Object.values(peer.pair())) end.close();
    await Promise.all(refused.map((one) => one.until(() => one.events.length >= 4, "lines")));
    await Promise.all(refused.map((one) => one.stop()));
    const [untrusted, untrusting] = refused.map(({ stderr }) => stderr);
    expect(untrusted).toMatch(
      /cannot send: https:\S+ self.signed certificate in certificate chain/,
    );
    expect(untrusting).toMatch(/cannot send: https:\S+ .*TLS handshake failed/);
    for (const { stderr } of refused)
      expect(stderr).toMatch(/ lost \d+ events: not taken by the OTLP receiver/);
    expect(requests.length).toBe(before);
  });

  test.skipIf(HOST !== "x64")("VictoriaMetrics has the peer's own counts", async () => {
    const at = await fetchPackages(ARCHES[HOST].debian, "receiver", receiverPackages);
    const port = freePort();
    start(join(at, "usr/bin/victoria-metrics"), [
      `-httpListenAddr=127.0.0.1:${port}`,
      `-storageDataPath=${join(directory, "victoria")}`,
      ...["-tls", `-tlsCertFile=${server.cert}`, `-tlsKeyFile=${server.key}`],
      "-search.latencyOffset=0s",
    ]);
    const url = `https://127.0.0.1:${port}`;
    const tls = { ca: readFileSync(environment.OTEL_EXPORTER_OTLP_CERTIFICATE, "utf8") };
    await until(`${url}/health`, (text) => text === "OK", { tls });
    const flags = ["--otlp", `${url}/opentelemetry`, "--metrics-labels", "direction,remote"];
    const more = { ...environment, OTEL_METRIC_EXPORT_INTERVAL: "500" };
    const child = await startWith(flags, more);
    const address = "127.0.0.79";
    const listener = new peer.Listener(address);
    const dialed = peer.dial(address, listener.port);
    peer.transfer(dialed, listener.accept(), 54_321);
    const query = `sum by (io) (tracer_bpf_tcp_bytes{direction="outgoing",remote="${address}"})`;
    const asked = `${url}/api/v1/query?query=${encodeURIComponent(query)}`;
    await until(asked, (text) => text.includes('{"io":"transmit"}') && text.includes('"54321"'), {
      tls,
    });
    expect(await child.stop()).toBe(0);
    // It stores no logs, and the trace says so.
    expect(child.stderr).toMatch(/the receiver refuses: https:\S+\/v1\/logs answers 400/);
    expect(child.stderr).not.toContain("v1/metrics");
  });
});

// --- internal ---

const clickhouseConfig = (folder: string, port: number): string => `<yandex>
<logger><level>error</level><log>${folder}/log</log><errorlog>${folder}/errors</errorlog></logger>
<listen_host>127.0.0.1</listen_host><http_port>${port}</http_port>
<path>${folder}/data/</path><tmp_path>${folder}/tmp/</tmp_path>
<users_config>users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database><mark_cache_size>5368709</mark_cache_size>
</yandex>`;

const CLICKHOUSE_USERS = `<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default>
<password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
</default></users></yandex>`;

function recordsOf(request: Message): Message[] {
  const resources = request["resource_logs"] as Message[];
  const scopes = resources.flatMap((resource) => resource["scope_logs"] as Message[]);
  return scopes.flatMap((scope) => scope["log_records"] as Message[]);
}

/** With the variables of the dashboard filled in. */
function dashboardQueries(): string[] {
  const { panels } = JSON.parse(
    readFileSync(new URL("../../docs/grafana.json", import.meta.url), "utf8"),
  ) as { panels: { targets: { expr: string }[] }[] };
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  expect(queries.length).toBeGreaterThan(5);
  return queries.map((expr) =>
    expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "5m"),
  );
}

interface Answer {
  data: { result: { metric: Record<string, string>; value: [number, string] }[] };
}

/** The name of this process, as the kernel has it. */
const nameOfSelf = (): string => peer.self().comm;

/** A trace of what is on one of two hosts, once it traces. */
async function traceInto(folder: string, host: Host) {
  const csv = join(folder, `${host.name}.csv`);
  const flags = ["--output", "csv", "--output-file", csv, "--tcp", "--port", "5432"];
  const only = ["--netns", `pid:${host.holder.pid}`];
  const child = Bun.spawn([...within(host), binary, "trace", ...flags, ...only], {
    stdio: ["ignore", "ignore", "pipe"],
    env: plainEnvironment(),
  });
  children.push(child);
  let told = "";
  for await (const bytes of child.stderr) {
    told += Buffer.from(bytes).toString();
    if (told.includes("tracing ")) return { host, csv, child };
  }
  throw new Error(told);
}

/** A trace with these variables. */
const startWith = (flags: string[], variables: Record<string, string>): Promise<Tracer> =>
  Tracer.start(modes[0]!, flags, [
    "env",
    ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
  ]);

/** A program of the packages, or of a path. */
function start(name: string, args: string[], env: Record<string, string> = {}): void {
  const child = Bun.spawn([resolve(programs, name), ...args], {
    stdio: ["ignore", "ignore", "ignore"],
    env: { ...plainEnvironment(), ...env },
  });
  children.push(child);
}

/** Free a moment ago: these programs do not tell which one they chose. */
function freePort(): number {
  using listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  return listener.port;
}

async function come(what: string, isThere: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 30_000; !isThere(); await Bun.sleep(50))
    if (performance.now() > deadline) throw new Error(`${what} did not come in 30 s`);
}

async function until(
  url: string,
  isThere: (text: string) => boolean,
  options: BunFetchRequestInit = {},
): Promise<string> {
  const deadline = performance.now() + 30_000;
  let text = "";
  while (performance.now() < deadline) {
    text = await fetch(url, options).then(
      (response) => response.text(),
      (error: unknown) => String(error),
    );
    if (isThere(text)) return text;
    await Bun.sleep(100);
  }
  throw new Error(`${url} did not answer as expected in 30 s: ${text.slice(-2000)}`);
}
