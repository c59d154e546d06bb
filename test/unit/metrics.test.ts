/** Metrics: what each event adds, each byte once; the bound on series; the text for Prometheus. */
import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import type { ConnEvent, Totals } from "../../src/conn/event.ts";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { unitOf } from "../../src/conn/unit.ts";
import { EventCounts, FORGOTTEN } from "../../src/metrics/count.ts";
import { withHealth } from "../../src/metrics/health.ts";
import { labelNames, usualLabels, type LabelName } from "../../src/metrics/labels.ts";
import { prometheusText } from "../../src/metrics/prometheus.ts";
import { linesOf, Series } from "../../src/metrics/series.ts";
import { metricNames, metricOf, PREFIX } from "../../src/metrics/table.ts";
import { eventOf } from "./drive/traced_event.ts";

const totals = (
  sent: bigint | null,
  received: bigint | null,
  more: Partial<Totals> = {},
): Totals => ({
  bytesSent: sent,
  bytesReceived: received,
  segsOut: null,
  segsIn: null,
  rttUs: null,
  rttVarUs: null,
  retransmits: null,
  durationNs: 5n,
  ...more,
});

let at = 0n;
const event = (kind: ConnEvent["kind"], more: Partial<TracedEvent> = {}): TracedEvent =>
  eventOf(kind, ++at, null, { cookie: 7, pid: 1, ...more });

const counts = (labels: LabelName[] = ["process", "port"], more = {}) =>
  new EventCounts({ labels: new Set(labels), ...more });

function told(of: EventCounts, events: TracedEvent[]): string[] {
  for (const one of events) of.observe(one);
  return lines(of);
}
const lines = (of: EventCounts) =>
  prometheusText(of.families())
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.replace(PREFIX, ""));

describe("a connection", () => {
  test("is opened, moves bytes, is closed: each byte stands once, whoever told of it first", () => {
    const of = counts();
    const who = 'process="curl",port="443"';
    expect(told(of, [event("connect"), event("sample", { totals: totals(10n, 20n) })])).toEqual([
      `tcp_connections_opened_total{${who}} 1`,
      `tcp_open_connections{${who}} 1`,
      `tcp_bytes_total{${who},io="transmit"} 10`,
      `tcp_bytes_total{${who},io="receive"} 20`,
    ]);
    const close = event("close", { totals: totals(15n, 20n, { retransmits: 2 }) });
    expect(told(of, [close])).toEqual([
      `tcp_connections_opened_total{${who}} 1`,
      `tcp_connections_closed_total{${who},error="none"} 1`,
      `tcp_open_connections{${who}} 0`,
      `tcp_bytes_total{${who},io="transmit"} 15`,
      `tcp_bytes_total{${who},io="receive"} 20`,
      `tcp_retransmitted_segments_total{${who}} 2`,
    ]);
    // Told once more, and by a sample that the close has overtaken.
    const late = event("sample", { totals: totals(12n, 20n) });
    expect(told(of, [{ ...close, kind: "close" }, late])).toEqual(lines(of));
    expect(lines(of)).toContain(`tcp_bytes_total{${who},io="transmit"} 15`);
    expect(lines(of)).toContain(`tcp_connections_closed_total{${who},error="none"} 1`);
  });

  test("that is older than the trace: what it moved before is not counted", () => {
    const old = (sent: bigint) => ({ totals: totals(sent, 0n, { durationNs: null }) });
    const seen = told(counts([]), [event("open", old(1_000n)), event("close", old(1_003n))]);
    expect(seen).toContain('tcp_bytes_total{io="transmit"} 3');
    expect(seen).toContain("tcp_open_connections 0");
    expect(seen.join()).not.toContain("opened_total");
  });

  test("that is older and ends untold of: its bytes are unknown, not 0 and not all", () => {
    const close = event("close", { totals: totals(1_000n, 5n, { durationNs: null }) });
    expect(told(counts([]), [close])).toEqual([
      'tcp_connections_closed_total{error="none"} 1',
      'tcp_connections_bytes_unknown_total{io="transmit"} 1',
      'tcp_connections_bytes_unknown_total{io="receive"} 1',
    ]);
  });

  test("whose beginning was lost, but lay in the trace: all its bytes count", () => {
    const seen = told(counts([]), [
      event("sample", { totals: totals(4n, 0n) }),
      event("close", { totals: totals(9n, 1n) }),
    ]);
    expect(seen).toContain('tcp_bytes_total{io="transmit"} 9');
    expect(seen).toContain('tcp_bytes_total{io="receive"} 1');
  });

  test("whose bytes are not known at its end is counted as such, beside what samples told", () => {
    const seen = told(counts([]), [
      event("accept"),
      event("sample", { totals: totals(4n, 8n) }),
      event("close", { totals: totals(null, 9n) }),
    ]);
    expect(seen).toContain('tcp_bytes_total{io="transmit"} 4');
    expect(seen).toContain('tcp_bytes_total{io="receive"} 9');
    expect(seen).toContain('tcp_connections_bytes_unknown_total{io="transmit"} 1');
    expect(seen.join()).not.toContain('unknown_total{io="receive"}');
  });

  test("that fails is a failure with its reason, or without", () => {
    const seen = told(counts([]), [
      event("fail", { failure: 111 }),
      event("fail", { cookie: 8, failure: null }),
      event("fail", { cookie: 9, failure: 111 }),
    ]);
    expect(seen).toEqual([
      'tcp_connect_failures_total{error="ECONNREFUSED"} 2',
      'tcp_connect_failures_total{error="unknown"} 1',
    ]);
  });

  test("keeps the process and gets the protocol that a later event knows", () => {
    const http = { api: null, application: "http", encryption: null } as const;
    const seen = told(counts(["process", "application"]), [
      event("connect"),
      event("close", { pid: null, comm: null, application: http as never, totals: totals(1n, 0n) }),
    ]);
    expect(seen).toContain(
      'tcp_connections_closed_total{process="curl",application="http",error="none"} 1',
    );
  });

  test("whose end was lost leaves the gauge once the kernel side knows it no more", () => {
    const of = counts([]);
    of.observe(event("connect"));
    of.drop([event("open")]);
    expect(lines(of)).toContain("tcp_open_connections 0");
  });

  test("the round-trip time is told once, at the end, in cumulative buckets", () => {
    const seen = told(counts([]), [
      event("connect"),
      event("sample", { totals: totals(1n, 0n, { rttUs: 90 }) }),
      event("close", { totals: totals(1n, 0n, { rttUs: 300 }) }),
    ]).filter((line) => line.startsWith("tcp_rtt"));
    expect(seen).toContain('tcp_rtt_seconds_bucket{le="0.00025"} 0');
    expect(seen).toContain('tcp_rtt_seconds_bucket{le="0.0005"} 1');
    expect(seen).toContain('tcp_rtt_seconds_bucket{le="+Inf"} 1');
    expect(seen.slice(-2)).toEqual(["tcp_rtt_seconds_sum 0.0003", "tcp_rtt_seconds_count 1"]);
    expect(seen).toHaveLength(linesOf(metricOf("tcp_rtt_seconds")));
  });

  test("the time that a connect took is told where it is known, of connects alone", () => {
    const seen = told(counts([]), [
      event("connect", { connectNs: 1_200_000n }),
      event("connect", { cookie: 8, connectNs: null }),
      event("accept", { cookie: 9, connectNs: 7n }),
    ]).filter((line) => line.startsWith("tcp_connect_seconds"));
    expect(seen).toContain('tcp_connect_seconds_bucket{le="0.001"} 0');
    expect(seen).toContain('tcp_connect_seconds_bucket{le="0.0025"} 1');
    expect(seen.slice(-2)).toEqual([
      "tcp_connect_seconds_sum 0.0012",
      "tcp_connect_seconds_count 1",
    ]);
  });

  test("too many at once: the oldest is not followed any longer, which is a loss with its count", () => {
    const of = counts([], { mostOpen: 2 });
    for (const cookie of [1, 2, 3]) of.observe(event("connect", { cookie }));
    expect(of.losses()).toEqual([{ cause: FORGOTTEN, count: 1n }]);
    expect(lines(of)).toContain("tcp_open_connections 2");
  });
});

test("in any order of samples and ends a counter never goes back, and ends at the sum of the last totals", () => {
  const step = fc.record({ cookie: fc.nat(3), more: fc.nat(9), ends: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const of = counts([]);
      const sent = new Map<number, bigint>();
      let over = 0n;
      let last = 0;
      for (const { cookie, more, ends } of steps) {
        if (!sent.has(cookie)) of.observe(event("connect", { cookie }));
        const now = (sent.get(cookie) ?? 0n) + BigInt(more);
        of.observe(event(ends ? "close" : "sample", { cookie, totals: totals(now, 0n) }));
        if (ends) over += now;
        if (ends) sent.delete(cookie);
        else sent.set(cookie, now);
        const line = lines(of).find((text) => text.startsWith("tcp_bytes_total"));
        const value = Number(line?.split(" ")[1] ?? 0);
        expect(value).toBeGreaterThanOrEqual(last);
        last = value;
      }
      const open = [...sent.values()].reduce((sum, bytes) => sum + bytes, 0n);
      expect(last).toBe(Number(over + open));
    }),
  );
});

test("UDP: a flow that goes on after its end begins anew, an error ends it not", () => {
  const flow = { protocol: "udp", remote: { address: "10.0.0.2", port: 53 } } as const;
  const datagrams = { segsOut: 1, segsIn: 2 };
  const seen = told(counts(["port"]), [
    event("begin", flow),
    event("fail", { ...flow, failure: 111 }),
    event("close", { ...flow, totals: totals(30n, 60n, datagrams) }),
    event("begin", flow),
    event("close", { ...flow, totals: totals(31n, 61n, datagrams) }),
  ]);
  expect(seen).toEqual([
    'udp_flows_begun_total{port="53"} 2',
    'udp_flows_ended_total{port="53"} 2',
    'udp_failures_total{port="53",error="ECONNREFUSED"} 1',
    'udp_open_flows{port="53"} 0',
    'udp_bytes_total{port="53",io="transmit"} 61',
    'udp_bytes_total{port="53",io="receive"} 121',
    'udp_datagrams_total{port="53",io="transmit"} 2',
    'udp_datagrams_total{port="53",io="receive"} 4',
  ]);
});

describe("labels", () => {
  const labelled = (labels: LabelName[], more: Partial<TracedEvent>) =>
    told(counts(labels), [event("connect", more)])[0];

  test("the port is the service's, and an ephemeral one is no label", () => {
    expect(labelled(["port"], {})).toContain('{port="443"}');
    expect(labelled(["port"], { direction: "incoming" })).toContain('{port="other"}');
    expect(labelled(["port"], { direction: "unknown" })).toBe("tcp_connections_opened_total 1");
  });

  test("the unit is the innermost service", () => {
    expect(unitOf("/system.slice/nginx.service/worker")).toBe("nginx.service");
    expect(unitOf("/user.slice/user@0.service/app.slice/a.service")).toBe("a.service");
    expect(unitOf("/user.slice/session-3.scope")).toBeNull();
    expect(labelled(["unit"], { cgroup: "/system.slice/a.service" })).toContain('unit="a.service"');
  });

  test("no label is a process id, a cookie or the port of a client", () => {
    const of = counts([...labelNames].filter((name) => name !== "remote"));
    for (let n = 1; n <= 50; n++) {
      const local = { address: "10.0.0.1", port: 32_768 + n };
      told(of, [event("connect", { cookie: n, pid: n, local, container: "c", cgroup: "/a" })]);
      told(of, [event("close", { cookie: n, pid: n, local, container: "c", cgroup: "/a" })]);
    }
    expect(of.families().every(({ rows }) => Array.from(rows).length <= 3)).toBe(true);
  });

  test("a hostile name neither breaks a line nor reaches the terminal, and stays one value", () => {
    const comm = 'a"} 9\n\x1b[2J\\é\u202e';
    const text = prometheusText(
      (() => {
        const of = counts(["process"]);
        of.observe(event("connect", { comm }));
        return of.families();
      })(),
    );
    const line = text.split("\n").find((one) => one.includes("opened_total{"));
    expect(line).toBe(
      `${PREFIX}tcp_connections_opened_total{process="a\\"} 9\\\\x0a\\\\x1b[2J\\\\\\\\é\\\\u{202e}"} 1`,
    );
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[^\n\x20-\x7eé]/);
  });

  test("values that only together look alike are two series", () => {
    const of = counts(["process", "container"]);
    of.observe(event("connect", { cookie: 1, comm: "a1:b", container: "" }));
    of.observe(event("connect", { cookie: 2, comm: "a", container: "b" }));
    expect(lines(of).filter((line) => line.startsWith("tcp_connections_opened"))).toHaveLength(2);
  });
});

test("more series than the bound: the rest is counted as other, and how often; sums stay right", () => {
  const of = counts(["process"], { mostSeries: 10 });
  for (let n = 0; n < 100; n++) of.observe(event("connect", { cookie: n, comm: `p${n}` }));
  for (let n = 0; n < 100; n++) of.observe(event("close", { cookie: n, comm: `p${n}` }));
  expect(of.series.count).toBeLessThanOrEqual(10);
  expect(of.series.folded).toBeGreaterThan(100);
  const sum = (name: string) =>
    lines(of)
      .filter((line) => line.startsWith(`${name}{`))
      .reduce((all, line) => all + Number(line.split(" ").at(-1)), 0);
  expect(sum("tcp_connections_opened_total")).toBe(100);
  expect(sum("tcp_connections_closed_total")).toBe(100);
  expect(sum("tcp_open_connections")).toBe(0);
  expect(lines(of)).toContain('tcp_connections_opened_total{process="other"} 95');
});

test("the tracer's own metrics: all causes of losses, also those with nothing; a gauge ends with the trace", () => {
  const of = counts([]);
  of.observe(event("connect"));
  const health = {
    losses: [
      { cause: "event ring full", count: 0n },
      { cause: "UDP flow map full", count: 3n, unit: "datagram" as const },
    ],
    running: true,
    startSeconds: 5,
    cpuSeconds: 0.25,
    version: "1.2.3",
    kernel: "6.1.0",
  };
  const text = (running: boolean) =>
    prometheusText(withHealth(of.families(), of.series, { ...health, running }));
  expect(text(true)).toContain('tracer_bpf_events_lost_total{cause="event ring full"} 0\n');
  expect(text(true)).toContain('tracer_bpf_datagrams_lost_total{cause="UDP flow map full"} 3\n');
  expect(text(true)).toContain('tracer_bpf_build_info{version="1.2.3",kernel="6.1.0"} 1\n');
  expect(text(true)).toContain("tracer_bpf_running 1\n");
  expect(text(true)).toContain("tracer_bpf_tcp_open_connections 1\n");
  expect(text(false)).toContain("tracer_bpf_running 0\n");
  expect(text(false)).not.toContain("open_connections");
});

test.each(["docs/fleet.md", "docs/grafana.json", "docs/guide.md"])(
  "%s names metrics and labels that there are",
  async (path) => {
    const text = await Bun.file(new URL(`../../${path}`, import.meta.url)).text();
    const found = Array.from(
      text.matchAll(/tracer_bpf_(\w+?)(?:_bucket)?(?=\W)/g),
      ([, name]) => name!,
    );
    expect(found.length).toBeGreaterThan(0);
    expect(found.filter((name) => !metricNames.some((known) => known === name))).toEqual([]);
    const by = Array.from(text.matchAll(/\bby \(([^)]*)\)/g), ([, list]) =>
      list!.split(/, */),
    ).flat();
    const known = [...labelNames, "io", "error", "cause", "le", "instance"] as string[];
    expect(by.filter((label) => !known.includes(label))).toEqual([]);
  },
);

test("names are those of the field's rules: units and _total where they belong", () => {
  for (const name of metricNames) {
    const { type, help, unit, bounds } = metricOf(name);
    expect(name).toMatch(/^[a-z][a-z_]*$/);
    expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
    if (unit === "s") expect(name).toMatch(/_seconds(_total)?$/);
    if (unit === "By") expect(name).toContain("bytes");
    expect(help).toMatch(/\.$/);
    if (type === "histogram") expect(bounds!.toSorted((a, b) => a - b)).toEqual([...bounds!]);
  }
  expect(usualLabels).not.toContain("remote");
  expect(new Series().count).toBe(0);
});
