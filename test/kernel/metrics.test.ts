/** `trace --metrics`: what a scrape tells is what the peers themselves have counted, of open connections too. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGuessed } from "./drive/guessed.ts";
import { lists, modes, sparing } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { PATIENCE_MS, run, Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-metrics-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** No other connection has this end. */
const ADDRESS = "127.0.0.77";

function dialed() {
  const listener = new peer.Listener(ADDRESS);
  const client = peer.dial(ADDRESS, listener.port);
  const server = listener.accept();
  listener.close();
  return { client, server };
}

/** The values of the client's end, by name and what is left of its labels. */
function values(text: string): Record<string, number> {
  const found = text.matchAll(
    /^tracer_bpf_(\w+)\{direction="outgoing",remote="127\.0\.0\.77"(?:,(.*))?\} (\S+)$/gm,
  );
  return Object.fromEntries(
    Array.from(found, ([, name, rest = "", value]) => [`${name} ${rest}`.trim(), Number(value)]),
  );
}

describe.each(modes)("trace --attach %s --metrics", (mode) => {
  const file = join(directory, `${mode}.prom`);
  let tracer: Tracer;
  let port: number;
  let older: peer.Pair;

  beforeAll(async () => {
    older = dialed();
    peer.transfer(older.client, older.server, 1013);
    const flags = [
      "--metrics",
      "0",
      "--metrics-file",
      file,
      "--metrics-labels",
      "direction,remote",
    ];
    tracer = await startGuessed(mode, flags);
    port = Number(
      await tracer.until(
        () => /metrics at http:\/\/127\.0\.0\.1:(\d+)\/metrics/.exec(tracer.stderr)?.[1],
        "line with the place",
      ),
    );
  });
  afterAll(() => tracer.stop());

  const scraped = async () =>
    values(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());

  /** Less than a second after a scrape the next one gets the same text. */
  async function until(name: string, value: number): Promise<Record<string, number>> {
    let seen: Record<string, number> = {};
    const deadline = performance.now() + PATIENCE_MS;
    while (seen[name] !== value && performance.now() < deadline) {
      seen = await scraped();
      await Bun.sleep(50);
    }
    expect([name, seen[name]]).toEqual([name, value]);
    return seen;
  }

  test("bytes of open connections are the peer's own, those before the trace left out, and stay so at their ends", async () => {
    const young = dialed();
    peer.transfer(young.client, young.server, 70_001);
    peer.transfer(young.server, young.client, 503);
    peer.transfer(older.client, older.server, 2003);
    const moved = 70_001 + (lists(mode) ? 2003 : 0);
    const open = await until('tcp_bytes_total io="transmit"', moved);
    expect(open['tcp_bytes_total io="receive"']).toBe(503);
    expect(open["tcp_connections_opened_total"]).toBe(1);
    peer.transfer(young.client, young.server, 11);
    for (const end of [young.client, young.server, older.client, older.server]) end.close();
    const ended = await until('tcp_connections_closed_total error="none"', 2);
    expect(ended['tcp_bytes_total io="transmit"']).toBe(moved + 11);
    expect(ended['tcp_bytes_total io="receive"']).toBe(503);
    expect(ended["tcp_open_connections"]).toBe(0);
    expect(young.client.truth.sent).toBe(70_012);
  });

  test("a refused connect is counted with its reason", async () => {
    const listener = new peer.Listener(ADDRESS);
    listener.close();
    expect(() => peer.dial(ADDRESS, listener.port)).toThrow("ECONNREFUSED");
    await until('tcp_connect_failures_total error="ECONNREFUSED"', 1);
  });

  test("it listens there and nowhere else, and no line shows a sample that nobody asked for", async () => {
    expect(listeningPorts(tracer.pid)).toEqual([port]);
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);
    expect(tracer.events.filter(({ event }) => event === "sample")).toEqual([]);
    const left = readFileSync(file, "utf8");
    expect(left).toContain("\ntracer_bpf_running 0\n");
    expect(left).not.toContain("open_connections");
    expect(values(left)['tcp_connect_failures_total error="ECONNREFUSED"']).toBe(1);
  });
});

test.skipIf(sparing)(
  "a place that is taken ends the command before anything is traced, with the way out",
  async () => {
    using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { exitCode, stderr } = await run(["trace", "--metrics", `:${taken.port}`, "-d", "1"]);
    expect(exitCode).toBe(1);
    expect(stderr).toStartWith(`error: --metrics: cannot listen at 127.0.0.1:${taken.port}\n`);
    expect(stderr).toContain("because: another program listens there");
    expect(stderr).not.toContain("tracing");
  },
);

/** Of TCP, by the sockets that the process holds. */
function listeningPorts(pid: number): number[] {
  const held = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ""; // closed meanwhile
    }
  });
  return ["tcp", "tcp6"]
    .flatMap((table) =>
      readFileSync(`/proc/${pid}/net/${table}`, "latin1").trim().split("\n").slice(1),
    )
    .map((row) => row.trim().split(/\s+/))
    .filter((row) => row[3] === "0A" && held.includes(`socket:[${row[9]}]`))
    .map((row) => parseInt(row[1]!.split(":")[1]!, 16));
}
