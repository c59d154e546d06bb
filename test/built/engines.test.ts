/**
 * The recipes of docs/fleet.md with Debian's own programs: Prometheus scrapes a trace, the node exporter reads its file, rsyslog
 * sends lines on, ClickHouse joins them. Needs root and Debian's archive; nothing is installed.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
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
import { join } from "node:path";
import { ARCHES, HOST } from "../../src/build/arch.ts";
import { modes } from "../kernel/drive/modes.ts";
import * as peer from "../kernel/drive/peer.ts";
import { plainEnvironment, run, Tracer } from "../kernel/drive/tracer.ts";
import { decode, logsRequest, metricsRequest, type Message } from "../unit/drive/otlp_proto.ts";
import { fetchPackages } from "../vm/fetch.ts";
import { enginePackages } from "../vm/packages.ts";

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

test.skipIf(Bun.which("curl") === null)(
  "ClickHouse joins both ends of a connection, from the files of two hosts",
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
    await until(at, (text) => text.includes("Ok."));
    const recorded = new URL("../fixtures/recording/two_sessions.recording", import.meta.url);
    const { stdout } = await run(["replay", recorded.pathname, "-o", "csv"]);
    const [header, ...lines] = stdout.split("\n");
    const [, script] = /```sh\n([^]*?)```/.exec(fleet)!;
    const csv = join(folder, "events.csv");
    for (const [host, direction] of [
      ["web", "outgoing"],
      ["db", "incoming"],
    ]) {
      const own = lines.filter((line) => line.includes(`,${direction},`));
      writeFileSync(csv, [header, ...own, ""].join("\n"));
      const ours = script!
        .replaceAll("/var/log/tracer-bpf.csv", csv)
        .replace("http://127.0.0.1:8123/", at);
      const shell = Bun.spawn(["sh", "-c", `hostname() { echo ${host}; }\n${ours}`], {
        stderr: "pipe",
      });
      expect(await new Response(shell.stderr).text()).toBe("");
      expect(await shell.exited).toBe(0);
    }
    const [, query] = /```sql\n([^]*?)```/.exec(fleet)!;
    const answer = await (await fetch(at, { method: "POST", body: query! })).text();
    const rows = answer
      .trimEnd()
      .split("\n")
      .map((row) => row.split("\t"));
    // As the recording has them: two sessions, in each a large transfer and a small one.
    expect(rows.map(([from, , to, , , ...numbers]) => [from, to, ...numbers.map(Number)])).toEqual([
      ["web", "db", 1, 1_234_567, 1_234_567],
      ["web", "db", 1, 1_234_567, 1_234_567],
      ["web", "db", 1, 100, 100],
      ["web", "db", 1, 100, 100],
    ]);
  },
);

test("a receiver of OTLP gets each line as a log record, and the metrics", async () => {
  const requests: { path: string; body: Uint8Array }[] = [];
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      requests.push({ path: new URL(request.url).pathname, body: await request.bytes() });
      return new Response(new Uint8Array());
    },
  });
  const child = await Tracer.start(modes[0]!, ["--otlp", `http://127.0.0.1:${server.port}`]);
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

function start(name: string, args: string[], env: Record<string, string> = {}): void {
  const child = Bun.spawn([join(programs, name), ...args], {
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

async function until(url: string, isThere: (text: string) => boolean): Promise<string> {
  const deadline = performance.now() + 30_000;
  let text = "";
  while (performance.now() < deadline) {
    text = await fetch(url).then(
      (response) => response.text(),
      (error: unknown) => String(error),
    );
    if (isThere(text)) return text;
    await Bun.sleep(100);
  }
  throw new Error(`${url} did not answer as expected in 30 s: ${text.slice(-2000)}`);
}
