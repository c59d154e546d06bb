/** The tracers that are compared: how each is started in a guest, and how its output is counted. Pure. */

/** The report of a tracer on `crr`; `expected` has the connections that it should report. */
export interface Reported {
  seen: number;
  expected: number;
  /** The losses that the tracer itself reports. */
  lost: string;
}

export interface Tracer {
  name: string;
  command: readonly string[];
  /** The package that must be there; ours needs none. */
  package?: "libbpf-tools" | "bpftrace";
  /** Text on stderr once it traces; others get time instead. */
  ready?: string;
  /** The version of control groups that is mounted while it traces; 2 if not given. */
  groups?: 1;
  /** Its runtime compiles while it runs: it is measured when it has done so. */
  compiles?: boolean;
  /** Lines of its output that tell of one of `connections`, each of which has two ends on this host. */
  count(lines: readonly string[], stderr: string, connections: number): Reported;
}

const loader = ["/peers/ld-linux-x86-64.so.2", "--library-path", "/peers/lib"];
const peer = (name: string, ...args: string[]) => [...loader, `/peers/bin/${name}`, ...args];

/** Of JSON, or of a table. */
const LINE = /"event":"(connect|accept|close)"|^(connect|accept|close) /;

const ours = (attach: "kprobe" | "tracepoint", ...flags: string[]): Tracer => ({
  name: [`tracer-bpf, ${attach}s`, ...flags].join(" "),
  command: [
    ...["/tracer-bpf", "trace", "--attach", attach],
    ...(flags.includes("--output") ? [] : ["--json"]),
    ...flags,
  ],
  ready: "tracing ",
  compiles: true,
  // A connect, an accept and two closes; the closes' bytes are compared by the caller.
  count: (lines, stderr, connections) => ({
    seen: lines.filter((line) => LINE.test(line)).length,
    expected: (flags.includes("--events") ? 2 : 4) * connections,
    lost: /events in .* s, (none lost|lost .*)$/m.exec(stderr)?.[1] ?? "not told",
  }),
});

/** To add a tracer, add a row; its program also in peers.ts. */
export const tracers: readonly Tracer[] = [
  ours("kprobe"),
  ours("tracepoint"),
  {
    name: "tcptracer",
    package: "libbpf-tools",
    command: peer("tcptracer-libbpf"),
    count: (lines, stderr, connections) => ({
      seen: lines.filter((line) => /^[CAX] /.test(line) && line.includes("127.0.0.1")).length,
      expected: 4 * connections,
      lost: lostOf(stderr),
    }),
  },
  {
    name: "tcplife",
    package: "libbpf-tools",
    command: peer("tcplife-libbpf"),
    count: (lines, stderr, connections) => ({
      seen: lines.filter((line) => line.includes("127.0.0.1")).length,
      expected: 2 * connections,
      lost: lostOf(stderr),
    }),
  },
  {
    name: "tcptop",
    package: "libbpf-tools",
    command: peer("tcptop-libbpf", "-C", "-r", "100000", "1"),
    // One line per end and interval: a connection may have two.
    count: (lines, stderr, connections) => ({
      seen: new Set(
        lines.flatMap((line) => /(127\.0\.0\.1:\d+\s+127\.0\.0\.1:\d+)/.exec(line)?.[1] ?? []),
      ).size,
      expected: 2 * connections,
      lost: lostOf(stderr),
    }),
  },
  {
    name: "bpftrace",
    package: "bpftrace",
    command: peer("bpftrace", "/test/bench/load/connections.bt"),
    count: (lines, stderr, connections) => ({
      seen: lines.filter((line) => /^(connect|accept|close) .*127\.0\.0\.1/.test(line)).length,
      expected: 4 * connections,
      lost: lostOf(stderr),
    }),
  },
];

/** Asked for less, or for another form: no such trace may cost more than all of JSON. To add one, add a row. */
export const asked: readonly (readonly string[])[] = [
  ["--pid", "!1"],
  ["--comm", "load"],
  ["--port", "1024-65535"],
  ["--events", "close"],
  // Never met, never ending.
  ["--expect", "event==fail", "--within", "10h"],
  ["--count", "1000000000"],
  ["--output", "table"],
  ["--record", "/tmp/record"],
];

/** The same tracer with features switched off: each costs what it is slower with it. To add one, add a row. */
export const withFlags: readonly Tracer[] = [
  ours("kprobe", "--no-protocols"),
  ours("kprobe", "--no-nat"),
  ours("kprobe", "--tcp"),
  ours("kprobe", "--tcp", "--no-nat"),
  ...asked.map((flags) => ours("kprobe", ...flags)),
  { ...ours("kprobe"), name: "tracer-bpf, kprobes, cgroup v1", groups: 1 },
  ours("tracepoint", "--tcp"),
  {
    name: "a filter of packets",
    command: ["/job/load", "filter"],
    ready: "filtering",
    count: () => ({ seen: 0, expected: 0, lost: "-" }),
  },
];

const lostOf = (stderr: string): string => /.*\b[Ll]ost .*/.exec(stderr)?.[0] ?? "nothing told";
