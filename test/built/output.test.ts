/** The output flags, on real events; test/unit/output.test.ts has the details of each format. */
import Ajv2020 from "ajv/dist/2020.js";
import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../src/build/step.ts";
import { Actor } from "../kernel/drive/actors.ts";
import { pair, self, type Truth } from "../kernel/drive/peer.ts";
import { refusing } from "../kernel/drive/attempt.ts";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr } from "../../src/kernel/sockaddr.ts";
import { binary, PATIENCE_MS, plainEnvironment } from "../kernel/drive/tracer.ts";

setDefaultTimeout(600_000);

/** A trace from its start to its end. */
const TRACE_MS = 6 * PATIENCE_MS;

/** Traces while `work` runs and until its output `has` what is awaited, then ends the trace as Ctrl-C would. */
async function tracing<T>(
  args: string[],
  work: () => T,
  { stdout = "pipe", has = () => true }: Options = {},
) {
  const child = Bun.spawn([binary, "trace", ...args], {
    stdin: "ignore",
    stdout,
    stderr: "pipe",
    env: plainEnvironment(),
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), TRACE_MS);
  const out = collect(child.stdout instanceof ReadableStream ? child.stdout : null);
  const messages = collect(child.stderr);
  await messages.until((text) => /^tracing/m.test(text));
  const result = work();
  await out.until(has);
  child.kill("SIGINT");
  const exitCode = await child.exited;
  clearTimeout(timer);
  return { result, exitCode, stdout: await out.all, stderr: await messages.all };
}

interface Options {
  stdout?: "pipe" | number;
  has?: (text: string) => boolean;
}

function collect(stream: ReadableStream<Uint8Array> | null) {
  let text = "";
  let look = () => {};
  const decoder = new TextDecoder();
  const all = (async () => {
    for await (const chunk of stream ?? []) {
      text += decoder.decode(chunk, { stream: true });
      look();
    }
    return text;
  })();
  const until = (has: (text: string) => boolean) =>
    new Promise<void>((resolve, reject) => {
      look = () => {
        if (!has(text)) return;
        look = () => {};
        resolve();
      };
      look();
      void all.then(() => reject(new Error(`it ended before what was awaited: ${text}`)));
    });
  return { all, until };
}

function oneConnection(): { client: Truth; server: Truth } {
  const { client, server } = pair();
  client.write(1009);
  server.read(1009);
  client.close();
  server.close();
  return { client: client.truth, server: server.truth };
}

/** A connection of every end: refused, established, with datagrams. */
function everyKind(): void {
  oneConnection();
  using port = refusing("127.0.0.1");
  const fd = libc.socket(k.AF_INET, k.SOCK_STREAM | k.SOCK_CLOEXEC, 0);
  expect(libc.connect(fd, sockaddr("127.0.0.1", port.port))).toBe(-k.ECONNREFUSED);
  libc.close(fd);
  const udp = libc.socket(k.AF_INET, k.SOCK_DGRAM | k.SOCK_CLOEXEC, 0);
  libc.bind(udp, sockaddr("127.0.0.1", 0));
  libc.connect(udp, sockaddr("127.0.0.1", port.port));
  expect(libc.send(udp, new Uint8Array(10), 0)).toBe(10);
  libc.close(udp);
}

/** The schema that the tool prints, as a function that validates. */
function schemaOf(tool: string) {
  const printed = Bun.spawnSync([tool, "schema"], { env: plainEnvironment() });
  return new Ajv2020({ allErrors: true, strictTypes: false }).compile(
    JSON.parse(printed.stdout.toString()) as object,
  );
}

test("json: lines of every kind are as the schema that the tool prints says", async () => {
  const validate = schemaOf(binary);
  const early = pair();
  const { stdout } = await tracing(
    ["--json", "--args", "--resolve"],
    () => {
      everyKind();
      early.client.close();
      early.server.close();
    },
    {
      has: (text) =>
        text.split("\n").some((line) => isOurs(line) && /"close","protocol":"udp"/.test(line)),
    },
  );
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  for (const line of lines)
    expect({ line, errors: validate(line) ? null : validate.errors }).toEqual({
      line,
      errors: null,
    });
  const ours = lines.filter(({ pid }) => pid === self().pid);
  const kinds = new Set(ours.map(({ protocol, event }) => `${protocol} ${event}`));
  expect([...kinds].sort()).toEqual([
    "tcp accept",
    "tcp close",
    "tcp connect",
    "tcp fail",
    "tcp open",
    "udp begin",
    "udp close",
    "udp fail",
  ]);
});

const isOurs = (line: string): boolean => line.includes(`"pid":${self().pid},`);

interface Line {
  pid: number | null;
  protocol: string;
  event: string;
}

test("csv: the client's close stands in one line of the header's columns", async () => {
  const { result, stdout, exitCode } = await tracing(["-o", "csv"], oneConnection);
  expect(exitCode).toBe(0);
  const [header = "", ...lines] = stdout.trimEnd().split("\n");
  const names = header.split(",");
  const rows = lines.map((line) =>
    Object.fromEntries(line.split(",").map((cell, i) => [names[i]!, cell])),
  );
  const { local, remote } = result.client;
  const ours = rows.filter((row) => row["local_port"] === `${local.port}`);
  expect(ours.map((row) => row["event"])).toEqual(["connect", "close"]);
  expect(ours[1]).toMatchObject({
    v: "1",
    pid: `${process.pid}`,
    local_address: local.address,
    remote_port: `${remote.port}`,
    bytes_sent: "1009",
    bytes_received: "0",
  });
});

test("the table: 80 columns, without its header if so wanted, and what it rounds is right", async () => {
  const { result, stdout } = await tracing(["-H"], oneConnection);
  const lines = stdout.trimEnd().split("\n");
  expect(lines.filter((line) => line.includes("LPORT"))).toEqual([]);
  const ours = lines.filter((line) => line.includes(` ${result.client.local.port} -> `));
  expect(ours.map((line) => line.trim().split(/ +/).slice(0, 3))).toEqual([
    ["connect", "tcp", `${process.pid}`],
    ["close", "tcp", `${process.pid}`],
  ]);
  expect(ours[1]).toMatch(/ 1009 +0 +[\d.]+[mu]?s$/);
  expect(Math.max(...ours.map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("-w has more columns, -t counts from the beginning of the trace", async () => {
  const { result, stdout } = await tracing(["-wt"], oneConnection);
  const [header = "", ...lines] = stdout.trimEnd().split("\n");
  expect(header.trim().split(/ +/).slice(0, 3)).toEqual(["TIME(s)", "TIME", "KIND"]);
  const { client } = result;
  const close = lines.find(
    (line) => / close /.test(line) && line.includes(`:${client.local.port} `),
  );
  expect(close).toContain(` ${client.netns} `);
  const seconds = Number(close!.trim().split(/ +/)[0]);
  expect(seconds).toBeGreaterThanOrEqual(0);
  expect(seconds).toBeLessThan(TRACE_MS / 1000);
});

test.each(["--json", "-ocsv", "-otable", "--wide"])(
  "%s: whole lines reach a pipe while the trace goes on",
  async (flag) => {
    const { client, server } = pair();
    try {
      const line = new RegExp(`^.*\\b${client.truth.local.port}\\b.*\\n`, "m");
      await tracing([flag], () => client.close(), { has: (text) => line.test(text) });
    } finally {
      server.close();
    }
  },
);

test("when its reader has read enough it ends at once, with 0 and without a word", async () => {
  // The shell's answer is that of the trace.
  const script = `{ "$0" trace --json; echo "ended with $?" >&2; } | head -n 2`;
  const child = Bun.spawn(["sh", "-c", script, binary], {
    stdio: ["ignore", "pipe", "pipe"],
    env: plainEnvironment(),
  });
  const [out, messages] = [collect(child.stdout), collect(child.stderr)];
  await messages.until((text) => /^tracing/m.test(text));
  oneConnection();
  expect((await out.all).trimEnd().split("\n")).toHaveLength(2);
  expect((await messages.all).trimEnd().split("\n").slice(-2)).toEqual([
    expect.stringMatching(/^tracing/),
    "ended with 0",
  ]);
});

test("on a disk that fills up it ends with 1 and says so, and what is there is whole lines but for the last", async () => {
  const mount = mkdtempSync(join(tmpdir(), "tracer-bpf-full-"));
  run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", mount]);
  try {
    const file = join(mount, "events.jsonl");
    const disk = openSync(file, "w");
    const work = () => {
      for (let i = 0; i < 20; i++) oneConnection();
    };
    const { exitCode, stderr } = await tracing(["--json"], work, { stdout: disk });
    closeSync(disk);
    expect(stderr).toMatch(/^error: stdout: cannot write the output\n {2}because: .*ENOSPC/m);
    expect(exitCode).toBe(1);
    const text = readFileSync(file, "utf8");
    expect(text.length).toBe(8192);
    for (const line of text.split("\n").slice(0, -1))
      expect(JSON.parse(line)).toMatchObject({ v: 1 });
  } finally {
    run(["umount", mount]);
    rmSync(mount, { recursive: true });
  }
});

test("on a full disk it ends with 1 and says so, and so does what is printed at once", async () => {
  const full = openSync("/dev/full", "w");
  try {
    const { exitCode, stderr } = await tracing(["--json"], oneConnection, { stdout: full });
    expect(stderr).toMatch(
      /^error: stdout: cannot write the output\n {2}because: .*ENOSPC.*\n {2}try: free some space/m,
    );
    expect(exitCode).toBe(1);
    const printed = Bun.spawnSync([binary, "schema"], {
      stdio: ["ignore", full, "pipe"],
      env: plainEnvironment(),
    });
    expect(printed.stderr.toString()).toStartWith("error: stdout: cannot write the output");
    expect(printed.exitCode).toBe(1);
    // Nobody can be told of an error then, but the exit code still says it.
    const silent = Bun.spawnSync([binary, "trace", "--nonsense"], {
      stdio: ["ignore", full, full],
      env: plainEnvironment(),
    });
    expect(silent.exitCode).toBe(2);
  } finally {
    closeSync(full);
  }
});

test.each([
  { args: [], code: 0 },
  { args: ["--strict"], code: 4 },
])(
  "when a reader stands still $args ends with $code, and what it did not take is told",
  async ({ args, code }) => {
    const pipe = libc.pipe2(0);
    if (typeof pipe === "number") throw new Error(`pipe2: ${pipe}`);
    try {
      // More than the pipe's 64 KiB of lines, each above 250 bytes.
      const work = () => {
        for (let i = 0; i < 101; i++) oneConnection();
      };
      const { exitCode, stderr } = await tracing(["--json", ...args], work, { stdout: pipe[1] });
      expect(unreadIn(stderr)).toBeGreaterThan(0);
      expect(exitCode).toBe(code);
    } finally {
      for (const fd of pipe) closeSync(fd);
    }
  },
);

test("behind a reader that stands still during a storm its memory has a bound, and what was not taken is counted", async () => {
  const pipe = libc.pipe2(0);
  if (typeof pipe === "number") throw new Error(`pipe2: ${pipe}`);
  const [reading, writing] = pipe;
  // Its command line makes each line 4 KB long, so that few of them would fill much memory.
  const storm = new Actor("traffic", 100_000, "x".repeat(5000));
  try {
    await storm.hear();
    const args = ["trace", "--json", "--args", "--strict", "--pid", `${storm.pid}`];
    const child = Bun.spawn([binary, ...args], {
      stdin: "ignore",
      stdout: writing,
      stderr: "pipe",
      env: plainEnvironment(),
    });
    closeSync(writing);
    const messages = collect(child.stderr);
    const resident: number[] = [];
    let settledAt = Infinity;
    await messages.until((text) => {
      const lostBytes = unreadIn(text) * LINE_BYTES;
      if (lostBytes <= SETTLED_BYTES) return false;
      settledAt = Math.min(settledAt, lostBytes);
      resident.push(residentOf(child.pid));
      return lostBytes > settledAt + 4 * SWAY_BYTES;
    });
    expect(Math.max(...resident) - resident[0]!).toBeLessThan(SWAY_BYTES);
    await storm.end();
    const out = collect(Bun.file(reading).stream());
    // There is room again, so the loss is told in the stream.
    await out.until((text) => text.includes('"event":"lost"'));
    child.kill("SIGINT");
    expect(await child.exited).toBe(4);
    const lines = (await out.all)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string; cause: string; count: number });
    const lost = lines.filter(({ cause }) => cause === "output read too slowly");
    const count = lost.reduce((sum, { count }) => sum + count, 0);
    const validate = schemaOf(binary);
    for (const line of [...lost, lines[0]]) expect([line, validate(line)]).toEqual([line, true]);
    const events = lines.filter(({ event }) => event !== "lost").length;
    const summary = (await messages.all).split("\n").find((line) => line.includes(" events in "))!;
    expect(summary).toStartWith(`${events} events in `);
    expect(unreadIn(summary)).toBe(count);
  } finally {
    storm.process.kill("SIGKILL");
  }
});

const LINE_BYTES = 4096;
/** How far the memory of a runtime that collects its garbage goes up and down by itself. */
const SWAY_BYTES = 100 << 20;
/** Until so much was lost the runtime's heap grows to the size that it keeps. */
const SETTLED_BYTES = 3 * SWAY_BYTES;

/** How many lines were not taken, by all that is told of it. One cause stands without its number. */
function unreadIn(told: string): number {
  const counts = told.matchAll(/lost (\d+) events: output read|output read too slowly (\d+)/g);
  return Array.from(counts).reduce((sum, [, alone, among]) => sum + Number(alone ?? among), 0);
}

function residentOf(pid: number): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) << 10;
}

test("--strict ends with 0 when nothing was lost", async () => {
  const { exitCode, stderr } = await tracing(["--strict"], oneConnection);
  expect(stderr).toContain("none lost");
  expect(exitCode).toBe(0);
});
