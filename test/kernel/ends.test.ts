/** How a trace ends, and what it leaves behind. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { tracesUdp, Udp } from "./drive/datagrams.ts";
import { expectConnection } from "./drive/expect.ts";
import { guessed, startGuessed } from "./drive/guessed.ts";
import { exists, holdingsOf, kprobeEvents, leftOf } from "./drive/leftovers.ts";
import { has, modes, sparing } from "./drive/modes.ts";
import { pair } from "./drive/peer.ts";
import { binary, PATIENCE_MS, plainEnvironment, run } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-ends-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** How a trace ends does not depend on the mode; only what it leaves in the kernel does. */
const [mode = "kprobe"] = modes;

test("without --attach, kprobes are used where there are any; --duration ends the trace by itself", async () => {
  const begun = performance.now();
  const { exitCode, stderr } = await run(["trace", "--duration", "2s"]);
  expect(stderr).toMatch(has.kprobe ? /tracing.*kprobe/ : /tracing.*tracepoint/);
  expect(exitCode).toBe(0);
  expect(performance.now() - begun).toBeGreaterThan(2000);
  expect(performance.now() - begun).toBeLessThan(2000 + 2 * PATIENCE_MS);
});

test.each(sparing ? (["SIGINT"] as const) : (["SIGINT", "SIGTERM", "SIGHUP"] as const))(
  "%s ends it with exit code 0, after what has happened before was printed",
  async (signal) => {
    const tracer = await startGuessed(mode);
    const holdings = holdingsOf(tracer.pid);
    const { client, server } = pair();
    client.write(997);
    server.read(997);
    client.close();
    server.close();
    // At once: what the kernel side has collected by now must still come out.
    expect(await tracer.stop(signal)).toBe(0);
    for (const { truth } of [client, server]) {
      const kinds = tracer
        .unclaimed(
          (event) =>
            event.local.port === truth.local.port && event.remote.port === truth.remote.port,
        )
        .map((event) => event.event);
      expect(kinds).toHaveLength(2);
      expect(new Set<string>(kinds)).toEqual(new Set([truth.opened, "close"]));
    }
    expect(await leftOf(holdings)).toEqual([]);
  },
);

test.each(modes.filter(tracesUdp))(
  "a %s trace that ends has the closes of UDP sockets that were closed before",
  async (of) => {
    const tracer = await startGuessed(of, ["--udp"]);
    const server = new Udp("127.0.0.1");
    const first = new Udp("127.0.0.1").connect(server.local);
    first.send(100);
    server.receive();
    first.close();
    // By tracepoints nothing tells of the end of a socket by itself: the tool has just looked, and looks again in a second.
    await tracer.takeIf("close", "its close", ({ local }) => local.port === first.local.port);
    const clients = Array.from({ length: 5 }, () => new Udp("127.0.0.1").connect(server.local));
    const ports = clients.map(({ local }) => local.port);
    for (const client of clients) {
      client.send(100);
      server.receive();
      client.close();
    }
    expect(await tracer.stop()).toBe(0);
    server.close();
    for (const port of ports) {
      const told = tracer.unclaimed(({ local }) => local.port === port);
      expect(told.map(({ event }) => event)).toEqual(["begin", "close"]);
    }
  },
);

test("the second SIGINT ends it at once, though its command does not heed the first, and nothing is left", async () => {
  const script = 'trap "" INT; echo "at work: $$"; exec sleep 60 >/dev/null 2>&1';
  const tracer = await startGuessed(mode, ["--", "sh", "-c", script]);
  const pid = await tracer.until(() => /^at work: (\d+)$/m.exec(tracer.stderr)?.[1], "its command");
  const holdings = holdingsOf(tracer.pid);
  try {
    tracer.process.kill("SIGINT");
    const deadline = performance.now() + PATIENCE_MS;
    while (catches(tracer.pid, constants.signals.SIGINT) && performance.now() < deadline)
      await Bun.sleep(20);
    expect(await tracer.stop("SIGINT")).toBe(128 + constants.signals.SIGINT);
    expect(await leftOf(holdings)).toEqual([]);
  } finally {
    process.kill(Number(pid));
  }
});

test.skipIf(sparing)("started by nohup, it outlives its terminal", async () => {
  // The same as nohup(1), without its message about the output.
  const tracer = await startGuessed(mode, [], ["sh", "-c", `trap "" HUP; exec "$@"`, "sh"]);
  tracer.process.kill("SIGHUP");
  const { client, server } = pair();
  for (const end of [client, server]) end.close();
  for (const end of [client, server]) await expectConnection(tracer, end);
  expect(await tracer.stop()).toBe(0);
});

test.skipIf(sparing)("its terminal gone, it is gone too, and leaves nothing", async () => {
  const shown = { text: "" };
  const child = Bun.spawn([binary, "trace", "--offsets", await guessed(mode), "--attach", mode], {
    env: plainEnvironment(),
    terminal: {
      cols: 80,
      rows: 24,
      data: (_, data) => void (shown.text += Buffer.from(data).toString()),
    },
  });
  const deadline = performance.now() + PATIENCE_MS;
  while (!shown.text.includes("LPORT") && performance.now() < deadline) await Bun.sleep(20);
  const holdings = holdingsOf(child.pid);
  child.terminal!.close();
  // A line that nobody can be shown.
  const { client, server } = pair();
  for (const end of [client, server]) end.close();
  await child.exited;
  expect(holdings.length).toBeGreaterThan(10);
  expect(await leftOf(holdings)).toEqual([]);
});

test.skipIf(sparing)("--count prints exactly so many lines and ends with exit code 0", async () => {
  const tracer = await startGuessed(mode, ["--count", "5"]);
  for (let i = 0; i < 7; i++) {
    const { client, server } = pair();
    client.close();
    server.close();
  }
  expect(await tracer.ended()).toBe(0);
  expect(tracer.events).toHaveLength(5);
});

test.each(modes)(
  "killed, a %s trace leaves no program, map or link in the kernel, and the next start sweeps its probes",
  async (mode) => {
    const killed = await startGuessed(mode);
    const holdings = holdingsOf(killed.pid);
    for (const kind of ["prog_id", "map_id"])
      expect(holdings.filter((one) => one.kind === kind)).not.toBeEmpty();
    expect(holdings.filter((one) => !exists(one))).toEqual([]);
    expect(await killed.stop("SIGKILL")).not.toBe(0);
    expect(await leftOf(holdings)).toEqual([]);

    const next = await startGuessed(mode);
    const { client, server } = pair();
    client.close();
    server.close();
    await expectConnection(next, client);
    await expectConnection(next, server);
    expect(await next.stop()).toBe(0);
    expect(kprobeEvents().filter((line) => line.includes(":tracer_bpf/"))).toEqual([]);
  },
);

// --- internal ---

function catches(pid: number, signal: number): boolean {
  const caught = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  return ((BigInt(`0x${caught}`) >> BigInt(signal - 1)) & 1n) === 1n;
}
