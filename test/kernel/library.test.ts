/** The library as a program uses it: by its name, in one process, in every attach mode this kernel has. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  Failure,
  guessOffsets,
  loadOffsets,
  openTracer,
  saveOffsets,
  TCPFailure,
  toBytes,
  type Deltas,
  type GuessReport,
  type TracedEvent,
  type Tracer,
} from "tracer-bpf";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tracesUdp, Udp } from "./drive/datagrams.ts";
import { modes, sparing } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { Actor } from "./drive/actors.ts";
import { watchGaps } from "./drive/gap.ts";
import { Attempt, refusing } from "./drive/attempt.ts";

setDefaultTimeout(180_000);

type Truth = peer.Truth;

const same = (event: Pick<TracedEvent, "local" | "remote">, { local, remote }: Truth) =>
  Bun.deepEquals(event.local, local) && Bun.deepEquals(event.remote, remote);

/** Both ends have moved so many bytes and are closed. */
function traffic(sent: number, received: number): { client: Truth; server: Truth } {
  const { client, server } = peer.pair();
  peer.transfer(client, server, sent);
  peer.transfer(server, client, received);
  client.close();
  server.close();
  return { client: client.truth, server: server.truth };
}

/** Reads on until an end of each of these connections has come. */
async function untilClosed(
  events: AsyncIterable<TracedEvent>,
  truths: Truth[],
): Promise<TracedEvent[]> {
  const seen: TracedEvent[] = [];
  const open = new Set(truths);
  for await (const event of events) {
    seen.push(event);
    for (const truth of open) if (event.kind === "close" && same(event, truth)) open.delete(truth);
    if (open.size === 0) break;
  }
  return seen;
}

/** Asks until these connections have been told as closed. */
async function closedDeltas(tracer: Tracer, id: string, truths: Truth[]): Promise<Deltas> {
  const all: Deltas = { active: [], closed: [] };
  while (!truths.every((truth) => all.closed.some((delta) => same(delta, truth)))) {
    const { active, closed } = tracer.connections(id);
    all.active.push(...active);
    all.closed.push(...closed);
    await Bun.sleep(5);
  }
  return all;
}

const none = (tracer: Tracer) => tracer.losses().filter(({ count }) => count > 0n);

describe.each(modes)("a tracer by %s", (attach) => {
  let offsets: GuessReport;
  beforeAll(async () => void (offsets = await guessOffsets({ attach })));

  test("gives every reader every event, with exact bytes, and its own process's too", async () => {
    await using tracer = await openTracer({ attach, pollMs: 20 });
    expect(tracer.description).toContain(`with ${attach}s`);
    const readers = [tracer.events(), tracer.events()];
    const { client, server } = traffic(104_729, 7919);
    for (const events of readers) {
      const seen = await untilClosed(events, [client, server]);
      for (const truth of [client, server]) {
        const [opened, closed, ...more] = seen.filter((event) => same(event, truth));
        expect(more).toEqual([]);
        expect(opened).toMatchObject({ kind: truth.opened, protocol: "tcp", netns: truth.netns });
        expect(closed).toMatchObject({
          kind: "close",
          cookie: opened!.cookie,
          pid: process.pid,
          totals: { bytesSent: BigInt(truth.sent), bytesReceived: BigInt(truth.received) },
        });
        const ageMs = Date.now() - Number(tracer.wallTimeNs(closed!.atNs) / 1_000_000n);
        expect(Math.abs(ageMs)).toBeLessThan(60_000);
      }
      // Nothing of the connections that the tracer itself made to get ready.
      const others = seen.filter((event) => ![client, server].some((truth) => same(event, truth)));
      expect(others.filter(({ pid }) => pid === process.pid)).toEqual([]);
    }
    expect(none(tracer)).toEqual([]);
  });

  test.skipIf(sparing)(
    "leaves the event loop free, while connections come and where nothing happens",
    async () => {
      await using tracer = await openTracer({ attach, offsets });
      const events = tracer.events();
      let seen = 0;
      const reading = (async () => {
        for await (const _ of events) seen++;
      })();
      const traffic = new Actor("traffic", 500);
      await traffic.hear();
      // Not before its process is there: to start one takes its time.
      using gaps = watchGaps();
      await Bun.sleep(2_000);
      await traffic.end();
      const { made } = await traffic.hear<{ made: number }>();
      // Longer than a wait may last where nothing happens.
      await Bun.sleep(7_000);
      tracer.close();
      await reading;
      expect(seen).toBeGreaterThanOrEqual(made);
      // A wait that stands on the event loop takes 5 s, on a machine however fast. How long turns are is measured: bench turns.
      expect(gaps.longestMs()).toBeLessThan(4_000);
    },
  );

  test.skipIf(sparing)(
    "tells each client once, and none what ended before it registered",
    async () => {
      await using tracer = await openTracer({ attach, offsets });
      tracer.registerClient("early");
      const { client, server } = traffic(1009, 503);
      const { closed } = await closedDeltas(tracer, "early", [client, server]);
      for (const truth of [client, server]) {
        const own = closed.filter((delta) => same(delta, truth));
        expect(own).toHaveLength(1);
        expect(own[0]).toMatchObject({
          state: "closed",
          direction: truth.opened === "connect" ? "outgoing" : "incoming",
          delta: { bytesSent: BigInt(truth.sent), bytesReceived: BigInt(truth.received) },
          total: { bytesSent: BigInt(truth.sent), established: 1, closed: 1 },
        });
      }
      tracer.registerClient("late");
      const later = traffic(11, 13);
      const told = await closedDeltas(tracer, "late", [later.client, later.server]);
      expect([...told.active, ...told.closed].some((delta) => same(delta, client))).toBe(false);
      const again = await closedDeltas(tracer, "early", [later.client, later.server]);
      expect(again.closed.some((delta) => same(delta, client))).toBe(false);
      expect(() => tracer.connections("nobody")).toThrow(Failure);
      expect(tracer.removeClient("late")).toBe(true);
      expect(() => tracer.connections("late")).toThrow("not registered");
      expect(tracer.counts()).toMatchObject({
        underflows: 0n,
        cookieCollisions: 0n,
        droppedEnds: 0n,
      });
      const telemetry = tracer.telemetry();
      expect(telemetry.tcp_close_connection_flush).toBeGreaterThanOrEqual(4n);
      expect(telemetry).toMatchObject({ tcp_sent_miscounts: 0n, double_flush_attempts_close: 0n });
      expect(toBytes("Telemetry", telemetry)).toHaveLength(17 * 8);
    },
  );

  test.skipIf(!tracesUdp(attach))(
    "tells each client what a UDP flow has moved since it asked, and its close only the rest",
    async () => {
      await using tracer = await openTracer({ attach, offsets });
      for (const id of ["often", "rarely"]) tracer.registerClient(id);
      const server = new Udp("127.0.0.1");
      const client = new Udp("127.0.0.1").connect(server.local);
      const told: Record<string, (bigint | null)[]> = { often: [], rarely: [] };
      let closed = 0;
      const ask = (id: string) => {
        const deltas = tracer.connections(id);
        for (const { local, remote, state, delta } of [...deltas.active, ...deltas.closed]) {
          if (local.port !== client.local.port || remote.port !== server.local.port) continue;
          told[id]!.push(delta.bytesSent);
          if (state === "closed") closed++;
        }
      };
      for (const bytes of [11, 13, 17]) {
        client.send(bytes);
        ask("often");
        ask("often");
      }
      ask("rarely");
      client.send(19);
      client.close();
      for (const id of ["often", "rarely"]) {
        closed = 0;
        peer.until("its close", () => {
          ask(id);
          return closed > 0;
        });
        ask(id);
        expect(closed).toBe(1);
      }
      server.close();
      const sum = (of: (bigint | null)[]) => of.reduce<bigint>((s, n) => s + n!, 0n);
      expect(told["often"]!.slice(0, 3)).toEqual([11n, 13n, 17n]);
      expect([sum(told["often"]!), sum(told["rarely"]!)]).toEqual([60n, 60n]);
      expect(tracer.counts()).toMatchObject({ underflows: 0n, repeatedCloses: 0n });
    },
  );

  test("tells each client what an open connection has moved since it asked", async () => {
    await using tracer = await openTracer({ attach, offsets });
    for (const id of ["often", "rarely"]) tracer.registerClient(id);
    const { client, server } = peer.pair();
    const told = { often: [] as unknown[], rarely: [] as unknown[] };
    const ask = (id: keyof typeof told) => {
      for (const delta of tracer.connections(id).active)
        if (same(delta, client.truth)) told[id].push(delta.delta.bytesSent);
    };
    for (const bytes of [7919, 104_729, 13]) {
      peer.transfer(client, server, bytes);
      ask("often");
    }
    ask("often");
    ask("rarely");
    expect(told).toEqual({ often: [7919n, 104_729n, 13n], rarely: [112_661n] });
    client.write(17);
    client.close();
    server.close();
    const { closed } = await closedDeltas(tracer, "rarely", [client.truth]);
    expect(closed.find((delta) => same(delta, client.truth))!.delta.bytesSent).toBe(17n);
    expect(tracer.counts()).toMatchObject({ underflows: 0n, vanished: 0n });
  });

  test.skipIf(sparing)(
    "gives results that later polls leave alone, and each beginning and end in one of them",
    async () => {
      await using tracer = await openTracer({ attach, offsets });
      tracer.registerClient("a");
      const [still, busy] = [peer.pair(), peer.pair()];
      peer.transfer(still.client, still.server, 503);
      const polls = Array.from({ length: 13 }, (_, i) => {
        peer.transfer(busy.client, busy.server, 1009 + i);
        const deltas = tracer.connections("a");
        return { deltas, copy: structuredClone(deltas) };
      });
      for (const { deltas, copy } of polls) expect(deltas).toEqual(copy);
      const told = (truth: Truth) =>
        polls.map(({ deltas }) => deltas.active.filter((delta) => same(delta, truth)));
      // In tracepoint mode too: a client's connection is told at once.
      expect(told(busy.client.truth).map((all) => all[0]!.delta.bytesSent)).toEqual(
        polls.map((_, i) => BigInt(1009 + i)),
      );
      const [first, ...rest] = told(still.client.truth);
      expect(first).toMatchObject([{ delta: { bytesSent: 503n, established: 1, closed: 0 } }]);
      // It stands still, and is not given up.
      expect(rest.flat()).toEqual([]);
      for (const { client, server } of [still, busy])
        for (const end of [client, server]) end.close();
      const { closed } = await closedDeltas(tracer, "a", [still.client.truth]);
      const ends = closed.filter((delta) => same(delta, still.client.truth));
      expect(ends).toMatchObject([
        {
          delta: { bytesSent: 0n, established: 0, closed: 1 },
          total: { bytesSent: 503n, established: 1, closed: 1 },
        },
      ]);
      expect(tracer.counts()).toMatchObject({ underflows: 0n, vanished: 0n });
    },
  );

  test("tells a client of an attempt that failed, with its errno", async () => {
    await using tracer = await openTracer({ attach, offsets });
    tracer.registerClient("a");
    using refused = refusing("127.0.0.1");
    const attempt = new Attempt("127.0.0.1", refused.port);
    attempt.connect();
    attempt.close();
    const truth = attempt.failedWith("ECONNREFUSED");
    const { closed } = await closedDeltas(tracer, "a", [truth]);
    expect(closed.filter((delta) => same(delta, truth))).toMatchObject([
      {
        state: "failed",
        failure: TCPFailure.Refused,
        pid: process.pid,
        delta: { established: 0, closed: 1 },
      },
    ]);
    expect(tracer.telemetry().tcp_failed_connect).toBeGreaterThanOrEqual(1n);
  });

  test("knows a connection that was open before it, and tells the rest of it at its end", async () => {
    const { client, server } = peer.pair();
    peer.transfer(client, server, 7919);
    await using tracer = await openTracer({ attach, offsets });
    tracer.registerClient("a");
    peer.transfer(client, server, 104_729);
    client.close();
    server.close();
    const { active, closed } = await closedDeltas(tracer, "a", [client.truth, server.truth]);
    for (const { truth } of [client, server]) {
      const told = [...active, ...closed].filter((delta) => same(delta, truth));
      const sum = (key: "bytesSent" | "bytesReceived") =>
        told.reduce((all, { delta }) => all + (delta[key] ?? 0n), 0n);
      // Unknown is allowed where this kernel does not list what is open; a wrong number is not.
      const last = told.at(-1)!;
      if (last.total.bytesSent !== null) expect(sum("bytesSent")).toBe(BigInt(truth.sent));
      expect(sum("bytesReceived")).toBe(BigInt(truth.received));
      expect(told.filter(({ state }) => state === "closed")).toHaveLength(1);
    }
  });

  test.skipIf(sparing)("can leave its own process out", async () => {
    await using tracer = await openTracer({ attach, offsets, self: false });
    const events = tracer.events();
    traffic(7, 5);
    const listener = new peer.Listener("127.0.0.1");
    const other = new Actor("connect-and-exit", listener.port, 17);
    const truth = await other.hear<Truth>();
    const server = listener.accept();
    listener.close();
    server.close();
    const seen = await untilClosed(events, [truth]);
    await other.end();
    expect(seen.filter(({ pid }) => pid === process.pid)).toEqual([]);
  });

  test.skipIf(sparing)("counts what a reader that stands still had no room for", async () => {
    await using tracer = await openTracer({ attach, offsets });
    const slow = tracer.events({ maxWaiting: 2 });
    const { client, server } = traffic(3, 2);
    const seen = await untilClosed(tracer.events(), [client, server]);
    const lost = () => tracer.losses().find(({ cause }) => cause === "events() read too slowly");
    // Others on this host may have been connecting too.
    expect(Number(lost()?.count)).toBeGreaterThanOrEqual(seen.length - 2);
    const [first, second] = [await slow.next(), await slow.next()];
    expect([first.value, second.value]).toEqual(seen.slice(0, 2));
    // The two events that were read take no room any more, so the reader goes on.
    traffic(5, 7);
    expect((await slow.next()).done).toBe(false);
    await slow.return!();
    expect(await slow.next()).toEqual({ done: true, value: undefined });
  });
});

test.skipIf(sparing)(
  "offsets that were guessed before are used, also from a file, and not those of another kernel",
  async () => {
    const report = await guessOffsets();
    const place = mkdtempSync(join(tmpdir(), "tracer-bpf-library-"));
    try {
      const file = join(place, "offsets.json");
      await saveOffsets(file, report);
      expect(await loadOffsets(file)).toEqual(report);
      for (const offsets of [report, file]) {
        using tracer = await openTracer({ offsets });
        expect(tracer.description).not.toContain("guessed in");
      }
      const foreign = { ...report, kernel: { ...report.kernel, release: "4.4.0-other" } };
      using tracer = await openTracer({ offsets: foreign });
      expect(tracer.description).toContain("guessed in");
      expect(tracer.notes.join("\n")).toContain("4.4.0-other");
    } finally {
      rmSync(place, { recursive: true });
    }
  },
);

test.skipIf(sparing)(
  "a closed tracer ends its readers, gives them what was there, and refuses further work",
  async () => {
    const tracer = await openTracer();
    const events = tracer.events();
    const stopped = tracer.events({ signal: AbortSignal.abort() });
    const { client } = traffic(31, 37);
    // Waits for nothing: what happened is read by the last poll.
    tracer.close();
    tracer.close();
    const seen = await Array.fromAsync(events);
    expect(seen.some((event) => event.kind === "connect" && same(event, client))).toBe(true);
    expect(await Array.fromAsync(stopped)).toEqual([]);
    for (const work of [
      () => tracer.poll(),
      () => tracer.connections("a"),
      () => tracer.registerClient("a"),
      () => tracer.events(),
    ])
      expect(work).toThrow("the tracer: it is closed");
    expect(none(tracer)).toEqual([]);
  },
);

test("options that make no sense are refused before anything is touched", async () => {
  for (const pollMs of [0, 9, 1001, NaN])
    expect(await openTracer({ pollMs }).catch((error: unknown) => error)).toBeInstanceOf(
      RangeError,
    );
});
