/** `trace --expect`: ends 0 as soon as all was seen, 1 with the reason if it was not; and the script of docs/smoke-test.md. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Actor, actorCommand } from "./drive/actors.ts";
import { startGuessed } from "./drive/guessed.ts";
import { modes, sparing } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { binary, plainEnvironment, run, type Event } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

/** Longer than any test may take. */
const LONG = ["--within", "10m"];

function connection(port: peer.Listener, bytes: number): void {
  const client = peer.dial(port.address, port.port);
  const server = port.accept();
  client.write(bytes);
  server.read(bytes);
  client.close();
  server.close();
}

describe.each(modes)("trace --attach %s --expect", (mode) => {
  let listener: peer.Listener;
  beforeAll(() => {
    listener = new peer.Listener("127.0.0.1");
  });
  afterAll(() => listener.close());

  test("ends with 0 once each expectation was met, long before its time", async () => {
    const { port } = listener;
    const wishes = [
      `event==connect,remote.port==${port}`,
      `event==close,remote.port==${port},bytes_sent==313`,
    ];
    const tracer = await startGuessed(mode, [
      ...wishes.flatMap((wish) => ["--expect", wish]),
      ...LONG,
    ]);
    connection(listener, 311);
    const isClose = ({ event, remote }: Event) => event === "close" && remote.port === port;
    await tracer.takeIf("close", "of the wrong size", isClose);
    expect(tracer.exitCode).toBeNull();
    connection(listener, 313);
    expect(await tracer.ended()).toBe(0);
    expect(tracer.events.filter(isClose).map((event) => event.bytes_sent)).toEqual([311, 313]);
    expect(tracer.stderr).not.toMatch(/error/);
    expect(tracer.stderr).toMatch(/\d+ events in .*, none lost/);
  });

  test("ends with 1 when the time is over, and says what came closest", async () => {
    const wish = `event==close,remote.port==${listener.port},bytes_sent==317`;
    const tracer = await startGuessed(mode, [
      "--expect",
      wish,
      "--expect",
      "v==1",
      "--tcp",
      "-D",
      `${listener.port}`,
      "--within",
      "5s",
    ]);
    connection(listener, 311);
    expect(await tracer.ended()).toBe(1);
    expect(tracer.stderr).toMatch(/^2 events in \d+\.\d s, none lost$/m);
    expect(tracer.stderr).toMatch(
      new RegExp(
        `^error: none of 2 events in \\d+\\.\\d s met: ${wish}\n  closest: 1 with 2 of 3 conditions, but bytes_sent 311\n$`,
        "m",
      ),
    );
    expect(tracer.stderr.match(/error/g)).toHaveLength(1);
  });

  test.skipIf(sparing)("ends with 1 when it is stopped before", async () => {
    const tracer = await startGuessed(mode, ["--expect", "comm==nobody-is-called-so", ...LONG]);
    expect(await tracer.stop("SIGINT")).toBe(1);
    expect(tracer.stderr).toMatch(
      /error: none of \d+ events? in .* met: comm==nobody-is-called-so\n/,
    );
  });

  test.skipIf(sparing)("a filter hides an event from it", async () => {
    const filter = ["-D", String(listener.port), "--events", "connect"];
    const tracer = await startGuessed(mode, [...filter, "--expect", "event==close", ...LONG]);
    connection(listener, 331);
    await tracer.takeIf(
      "connect",
      "to the listener",
      ({ remote }) => remote.port === listener.port,
    );
    expect(await tracer.stop("SIGINT")).toBe(1);
    expect(tracer.stderr).toContain("error: none of 1 event in ");
    expect(tracer.stderr).toContain("seen instead: event connect");
  });
});

test.skipIf(sparing)("a misspelt expectation is refused before anything is traced", async () => {
  const { exitCode, stdout, stderr } = await run(["trace", "--expect", "remote_port==1"]);
  expect(exitCode).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain('error: flag --expect: no member "remote_port"');
  expect(stderr).toContain("try: --expect 'remote.port==1'");
  expect(stderr).not.toContain("tracing");
});

describe.skipIf(sparing)("the script of docs/smoke-test.md", () => {
  const work = mkdtempSync(join(tmpdir(), "tracer-bpf-smoke-"));
  let server: Actor;
  let port: number;

  beforeAll(async () => {
    const page = readFileSync(
      fileURLToPath(new URL("../../docs/smoke-test.md", import.meta.url)),
      "utf8",
    );
    const [, script] = /^```sh\n([^]*?)^```$/m.exec(page)!;
    writeFileSync(join(work, "smoke.sh"), script!);
    chmodSync(join(work, "smoke.sh"), 0o755);
    symlinkSync(binary, join(work, "tracer-bpf"));
    server = new Actor("http-server");
    ({ port } = await server.hear<{ port: number }>());
  });

  afterAll(async () => {
    await server.end();
    rmSync(work, { recursive: true });
  });

  async function smoke(within: string, ...command: string[]) {
    const child = Bun.spawn([join(work, "smoke.sh"), String(port), ...command], {
      cwd: "/",
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...plainEnvironment(), WITHIN: within },
    });
    const [stderr, exitCode] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    const lines = readFileSync(join(work, "events.json"), "utf8").split("\n").slice(0, -1);
    return { stderr, exitCode, events: lines.map((line) => JSON.parse(line) as Event) };
  }

  test("ends with 0 after a request that was answered", async () => {
    const request = ["env", "BUN_BE_BUN=1", ...actorCommand("http-client", port)];
    const { exitCode, stderr, events } = await smoke("10m", ...request);
    expect([exitCode, stderr]).toEqual([0, stderr]);
    expect(events.map(({ event, remote }) => [event, remote.port])).toEqual([
      ["connect", port],
      ["close", port],
    ]);
    expect(events[1]!.bytes_received!).toBeGreaterThan(100_000);
    expect(stderr).toMatch(/^tracing TCP/m);
    expect(stderr).toMatch(/^2 events in /m);
  });

  test("ends with 1 when the command does not connect", async () => {
    const { exitCode, stderr, events } = await smoke("500ms", "true");
    expect(exitCode).toBe(1);
    expect(events).toEqual([]);
    expect(stderr).toMatch(/error: none of 0 events in .* met: event==connect\n/);
    expect(stderr).toMatch(/error: none of 0 events in .* met: event==close,bytes_sent>0/);
  });

  test("ends with 2, and does not hang, when the tracer refuses to begin", async () => {
    const { exitCode, stderr } = await smoke("soon", "true");
    expect(exitCode).toBe(2);
    expect(stderr).toContain('error: flag --within: "soon" is no duration');
  });
});
