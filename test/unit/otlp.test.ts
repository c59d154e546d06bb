/** OTLP: requests as a strict decoder of the published protobuf reads them, and receivers that misbehave. */
import { afterEach, describe, expect, test } from "bun:test";
import type { Server } from "bun";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { otlpSender, type OtlpLimits } from "../../src/export/otlp.ts";
import { otlpOptions, otlpVariables } from "../../src/export/otlp_options.ts";
import { members } from "../../src/members/table.ts";
import { EventCounts } from "../../src/metrics/count.ts";
import { attributeName, logRecord, metricData } from "../../src/metrics/otlp.ts";
import { otlpSink, UNSENT } from "../../src/sinks/otlp.ts";
import { decode, logsRequest, metricsRequest, type Message } from "./drive/otlp_proto.ts";
import { eventOf } from "./drive/traced_event.ts";

const clocks = { monoNs: 0n, wallNs: 1_700_000_000_000_000_000n };
const event = (cookie: number, more: Partial<TracedEvent> = {}): TracedEvent =>
  eventOf("close", 5n, totals, { cookie, pid: 77, nat: false, ...more });

const totals = {
  sent: 9_007_199_254_740_993n,
  received: 20n,
  segsIn: 2,
  rttUs: 300,
  rttVarUs: null,
  durationNs: 5_000n,
};

const servers: Server<unknown>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) void server.stop(true);
});

interface Got {
  path: string;
  headers: Headers;
  body: Uint8Array;
}

/** `answer` says what the receiver does with the nth request, from 0 on. */
function receiver(answer: (n: number, got: Got) => Response | Promise<Response>) {
  const got: Got[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const one = { path: pathname, headers: request.headers, body: await request.bytes() };
      got.push(one);
      return answer(got.length - 1, one);
    },
  });
  servers.push(server);
  return { got, url: `http://127.0.0.1:${server.port}` };
}

const quick: OtlpLimits = {
  queueBytes: 1 << 20,
  firstPauseMs: 20,
  longestPauseMs: 40,
  // Also a machine that is busy gets everything sent by then.
  lastMs: 30_000,
};

function senderTo(url: string, environment = {}, limits: Partial<OtlpLimits> = {}) {
  const told: string[] = [];
  const options = otlpOptions(url, environment, { name: "web1", version: "1.0.0" });
  const sender = otlpSender({ ...options, files: {} }, "1.0.0", (line) => told.push(line), {
    ...quick,
    ...limits,
  });
  return { sender, told, options };
}

const logged = (n: number, kind: TracedEvent["kind"] = "close") =>
  logRecord(event(n, { kind }), clocks, 7n);
const ok = () => new Response(new Uint8Array());

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come`);
    await Bun.sleep(5);
  }
}

describe("a log record", () => {
  test("is what the protobuf of OTLP says, with the names of the conventions", async () => {
    const { got, url } = receiver(ok);
    const { sender } = senderTo(url);
    sender.log(logged(1));
    sender.log(logRecord(event(2, { kind: "fail", failure: 111, comm: "a\x1b[2J" }), clocks, 7n));
    await sender.end();
    expect(got.map(({ path }) => path)).toEqual(["/v1/logs"]);
    expect(got[0]!.headers.get("content-type")).toBe("application/x-protobuf");
    const request = decode(got[0]!.body, logsRequest);
    const [resourceLogs] = request["resource_logs"] as Message[];
    expect(attributesOf(resourceLogs!["resource"] as Message)).toEqual({
      "service.name": "tracer-bpf",
      "service.version": "1.0.0",
      "host.name": "web1",
    });
    const [scopeLogs] = resourceLogs!["scope_logs"] as Message[];
    expect(scopeLogs!["scope"]).toEqual({ name: "tracer-bpf", version: "1.0.0" });
    const [close, fail] = scopeLogs!["log_records"] as Message[];
    expect(close).toMatchObject({
      time_unix_nano: clocks.wallNs + 5n,
      observed_time_unix_nano: 7n,
      severity_number: 9n,
      event_name: "tracer_bpf.close",
      body: { string_value: "close tcp curl 10.0.0.1:40000 -> 10.0.0.2:443" },
    });
    expect(attributesOf(close!)).toMatchObject({
      "network.transport": "tcp",
      "network.type": "ipv4",
      "process.pid": 77n,
      "process.executable.name": "curl",
      "network.peer.address": "10.0.0.2",
      "network.peer.port": 443n,
      "tracer_bpf.nat": false,
      "tracer_bpf.bytes_received": 20n,
      // A double would make it ...992.
      "tracer_bpf.bytes_sent": "9007199254740993",
    });
    expect(fail).toMatchObject({ severity_number: 13n, event_name: "tracer_bpf.fail" });
    expect((fail!["body"] as Message)["string_value"]).toContain("a\\x1b[2J");
    expect(attributesOf(fail!)["error.type"]).toBe("ECONNREFUSED");
  });

  test("has each member under a name of its own", () => {
    const names = members.map(({ name, names: { openTelemetry } }) =>
      attributeName(name, openTelemetry),
    );
    expect(new Set(names).size).toBe(names.length);
  });
});

test("metrics are sums, gauges and histograms since the trace began", async () => {
  const { got, url } = receiver(ok);
  const { sender } = senderTo(url);
  const counts = new EventCounts({ labels: new Set(["process"]) });
  counts.observe(event(1, { kind: "connect" }));
  counts.observe(event(2));
  sender.metrics(metricData(counts.families(), 3n, 9n));
  await sender.end();
  expect(got.map(({ path }) => path)).toEqual(["/v1/metrics"]);
  const request = decode(got[0]!.body, metricsRequest);
  const [resource] = request["resource_metrics"] as Message[];
  const [scope] = resource!["scope_metrics"] as Message[];
  const all = Object.fromEntries((scope!["metrics"] as Message[]).map((one) => [one["name"], one]));
  const opened = all["tracer_bpf_tcp_connections_opened"]!["sum"] as Message;
  expect(opened).toMatchObject({ aggregation_temporality: 2n, is_monotonic: true });
  const [point] = opened["data_points"] as Message[];
  expect(point).toMatchObject({ start_time_unix_nano: 3n, time_unix_nano: 9n, as_double: 1 });
  expect(attributesOf(point!)).toEqual({ process: "curl" });
  expect(all["tracer_bpf_tcp_open_connections"]!["gauge"]).toBeDefined();
  const [rtt] = (all["tracer_bpf_tcp_rtt_seconds"]!["histogram"] as Message)[
    "data_points"
  ] as Message[];
  expect(rtt).toMatchObject({ count: 1n, sum: 0.0003 });
  expect((rtt!["bucket_counts"] as bigint[]).length).toBe(
    (rtt!["explicit_bounds"] as number[]).length + 1,
  );
});

describe("a receiver", () => {
  const eventsIn = ({ body }: Got): number => {
    const [resource] = decode(body, logsRequest)["resource_logs"] as Message[];
    const [scope] = resource!["scope_logs"] as Message[];
    return (scope!["log_records"] as Message[]).length;
  };

  test.each([429, 502, 503, 504])(
    "that answers %d is sent the same again, and nothing is lost",
    async (status) => {
      const { got, url } = receiver((n) => (n < 2 ? new Response("", { status }) : ok()));
      const { sender, told } = senderTo(url);
      sender.log(logged(1));
      sender.flush();
      await until("third request", () => got.length === 3);
      await sender.end();
      expect(got.map(eventsIn)).toEqual([1, 1, 1]);
      expect(sender.lost).toBe(0n);
      expect(told).toEqual([
        expect.stringContaining(`/v1/logs answers ${status}; tried again`),
        expect.stringContaining("is sent to again"),
      ]);
    },
  );

  test("that asks for time gets it", async () => {
    const at: number[] = [];
    const { got, url } = receiver((n) => {
      at.push(performance.now());
      return n === 0 ? new Response("", { status: 503, headers: { "Retry-After": "1" } }) : ok();
    });
    const { sender } = senderTo(url);
    sender.log(logged(1));
    sender.flush();
    await until("second request", () => got.length === 2);
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(990);
    await sender.end();
  });

  test.each([400, 401, 404, 302])(
    "that answers %d is told once, and what it refused is counted",
    async (status) => {
      const { got, url } = receiver(
        () => new Response("", { status, headers: { Location: "/x" } }),
      );
      const { sender, told } = senderTo(url);
      for (let n = 0; n < 2; n++) {
        sender.log(logged(n));
        sender.flush();
      }
      await sender.end();
      expect(got.length).toBe(2);
      expect(sender.lost).toBe(2n);
      expect(told).toEqual([`--otlp: the receiver refuses: ${url}/v1/logs answers ${status}`]);
    },
  );

  test("that takes a part of a request: the rest is counted", async () => {
    // partial_success { rejected_log_records: 3, error_message: "full" }
    const partial = Uint8Array.of(0x0a, 8, 0x08, 3, 0x12, 4, ...Buffer.from("full"));
    const { url } = receiver(() => new Response(partial));
    const { sender, told } = senderTo(url);
    for (let n = 0; n < 5; n++) sender.log(logged(n));
    await sender.end();
    expect(sender.lost).toBe(3n);
    expect(told).toEqual(["--otlp: the receiver refuses: full"]);
  });

  test("that is down, then comes back: what waited arrives, beyond the bound of the queue it is counted", async () => {
    const { got, url } = receiver((_, one) => (one.path === "/v1/logs" && isDown ? down() : ok()));
    let isDown = true;
    const down = () => new Response("", { status: 503 });
    const { sender } = senderTo(url, {}, { queueBytes: 20_000 });
    const total = 300;
    for (let n = 0; n < total; n++) {
      sender.log(logged(n));
      sender.flush();
    }
    const lost = Number(sender.lost);
    expect(lost).toBeGreaterThan(100);
    expect(lost).toBeLessThan(total);
    await until("request", () => got.length > 0);
    isDown = false;
    const refused = got.length;
    await until("all that waited", () => got.length >= refused + total - lost);
    await sender.end();
    expect(Number(sender.lost)).toBe(lost);
  });

  test("that is not there is told in words", async () => {
    const { sender, told } = senderTo("http://127.0.0.1:1", {}, { lastMs: 500 });
    sender.log(logged(1));
    sender.flush();
    await until("word of it", () => told.length > 0);
    await sender.end();
    expect(told).toEqual([
      "--otlp: cannot send: http://127.0.0.1:1/v1/logs: nobody listens there (ECONNREFUSED); tried again, and what has no room meanwhile is counted as lost",
    ]);
  });

  test("whose name nobody knows is told in words", async () => {
    // No label has more than 63 letters, so no name server is asked.
    const { sender, told } = senderTo(`http://${"a".repeat(64)}.invalid`, {}, { lastMs: 500 });
    sender.log(logged(1));
    sender.flush();
    await until("word of it", () => told.length > 0);
    await sender.end();
    expect(told[0]).toMatch(
      /: (no host has this name|no name server answers) \((ENOTFOUND|EAI_AGAIN)\); tried/,
    );
  });

  test("that is not there, or never answers: the end waits for a while, and counts the rest", async () => {
    const silent = receiver(() => new Promise<Response>(() => {}));
    for (const url of ["http://127.0.0.1:1", silent.url]) {
      const { sender } = senderTo(url, {}, { lastMs: 500 });
      for (let n = 0; n < 3; n++) sender.log(logged(n));
      await sender.end();
      expect(sender.lost).toBe(3n);
    }
  });

  test("whose answer has no end holds no memory", async () => {
    const endless = () =>
      new Response(new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(1 << 16)) }));
    const { url } = receiver(endless);
    const { sender } = senderTo(url);
    sender.log(logged(1));
    await sender.end();
    expect(sender.lost).toBe(0n);
  });
});

test("the sink sends within a second or so, and tells its losses", async () => {
  const { got, url } = receiver(ok);
  const { sender } = senderTo(url);
  let nowNs = 0n;
  const sink = otlpSink(sender, () => nowNs);
  sink.event!(event(1), clocks);
  sink.tick!();
  expect(sink.dueMs).toBe(1_000);
  expect(got).toEqual([]);
  nowNs = 1_000_000_000n;
  sink.tick!();
  expect(sink.dueMs).toBe(Infinity);
  await until("request", () => got.length === 1);
  await sink.end!(() => ({ before: [], all: [] }), { atNs: 0n, clocks });
  expect(sink.losses!()).toEqual([{ cause: UNSENT, count: 0n }]);
});

describe("the variables", () => {
  const of = (environment: Record<string, string>) =>
    otlpOptions("http://h/base/", environment, { name: "web1", version: "1" });

  test("headers, compression, resource and time limits act", async () => {
    const { got, url } = receiver(ok);
    const { sender } = senderTo(url, {
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Basic%20abc, x-a=1",
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: "x-a=2",
      OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
      OTEL_SERVICE_NAME: "edge",
    });
    sender.log(logged(1));
    await sender.end();
    const [{ headers, body }] = got as [Got];
    expect(headers.get("authorization")).toBe("Basic abc");
    expect(headers.get("x-a")).toBe("2");
    expect(headers.get("content-encoding")).toBe("gzip");
    const request = decode(Bun.gunzipSync(new Uint8Array(body)), logsRequest);
    const [resource] = request["resource_logs"] as Message[];
    expect(attributesOf(resource!["resource"] as Message)["service.name"]).toBe("edge");
    expect(of({}).urls.logs).toBe("http://h/base/v1/logs");
    expect(of({ OTEL_RESOURCE_ATTRIBUTES: "a.b=c%2Cd" }).resource["a.b"]).toBe("c,d");
    expect(of({ OTEL_EXPORTER_OTLP_TIMEOUT: "500" }).timeoutMs).toBe(500);
    expect(of({ OTEL_METRIC_EXPORT_INTERVAL: "1000" }).metricsEveryMs).toBe(1000);
  });

  test.each([
    ["OTEL_EXPORTER_OTLP_HEADERS", "secret"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=%secret"],
    ["OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"],
    ["OTEL_EXPORTER_OTLP_TIMEOUT", "10s"],
    ["OTEL_METRIC_EXPORT_INTERVAL", "5"],
  ])("%s=%s is refused, and the value, which may be a secret, is not shown", (name, value) => {
    let error: { message: string; why: string } | null = null;
    try {
      of({ [name]: value });
    } catch (caught) {
      error = caught as { message: string; why: string };
    }
    expect(error!.message).toStartWith(`${name} in the environment`);
    expect(error!.message + error!.why).not.toContain("secret");
  });

  test("docs/security.md names each", async () => {
    const page = await Bun.file(new URL("../../docs/security.md", import.meta.url)).text();
    expect(otlpVariables.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});

function attributesOf(message: Message): Record<string, unknown> {
  const pairs = (message["attributes"] as Message[]).map(({ key, value }) => {
    const held = Object.values(value as Message);
    expect(held).toHaveLength(1);
    return [key, held[0]] as const;
  });
  expect(new Set(pairs.map(([key]) => key)).size).toBe(pairs.length);
  return Object.fromEntries(pairs) as Record<string, unknown>;
}
