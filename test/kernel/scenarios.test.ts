/** Whole stories of connections: how long they were, what was sent again, whose numbers come again, on which CPU. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { accessSync, constants, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import * as k from "../../src/kernel/constants.ts";
import { dropArriving, stopDropping } from "../../src/kernel/filter.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr } from "../../src/kernel/sockaddr.ts";
import type { TcpInfo } from "../../src/kernel/tcp_info.ts";
import { Actor } from "./drive/actors.ts";
import { type Port, refusing } from "./drive/attempt.ts";
import { expectClosed, expectConnection, expectOpened } from "./drive/expect.ts";
import { startGuessed } from "./drive/guessed.ts";
import { many, type Mode, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { flushed, traced } from "./drive/traced.ts";
import { eventually, Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

/** The pid before the one that the kernel gives next; only root of the initial pid namespace may write it. */
const LAST_PID = "/proc/sys/kernel/ns_last_pid";
const ON_EACH_CPU = many(211, 101);
const ROOM = many(1_009, 211);
const BEYOND_ROOM = many(1_213, 307);
const RECVFROM = process.arch === "arm64" ? "207" : "45";

describe.each(modes)("trace --attach %s", (mode) => {
  const our = traced(mode, undefined, [], Tracer.start);

  test("a connection that is open for a second: its duration is what its ends measure", async () => {
    const begun = performance.now();
    const { client, server } = peer.pair();
    const established = performance.now();
    await Bun.sleep(1009);
    const closing = performance.now();
    client.close();
    server.readToEnd();
    server.close();
    const lines = [await expectConnection(our.tracer, client)];
    lines.push(await expectConnection(our.tracer, server));
    const ended = performance.now();
    for (const { closed } of lines) {
      expect(closed.duration_us!).toBeGreaterThanOrEqual(Math.floor((closing - established) * 1e3));
      expect(closed.duration_us!).toBeLessThanOrEqual(Math.ceil((ended - begun) * 1e3));
    }
  });

  test("a segment that is sent again and again: as often as TCP_INFO says", async () => {
    const { client, server } = peer.pair();
    const info = lossy(client, server);
    client.abort();
    server.awaitReset();
    server.close();
    const { closed } = await expectConnection(our.tracer, client);
    expect(closed).toMatchObject({
      retransmits: info.total_retrans!,
      segs_out: info.segs_out!,
      segs_in: info.segs_in!,
      rtt_us: info.rtt!,
      rtt_var_us: info.rttvar!,
    });
    const { closed: other } = await expectConnection(our.tracer, server);
    expect(other.retransmits).toBe(0);
  });

  test("what is sent again on a socket that eleven processes hold is in one record, once", async () => {
    const { client, server } = peer.pair();
    const holders = Array.from({ length: 10 }, () =>
      Bun.spawn(["sleep", "600"], { stdio: ["ignore", "ignore", "ignore", client.fd] }),
    );
    const info = lossy(client, server);
    client.close();
    for (const holder of holders) holder.kill();
    for (const holder of holders) await holder.exited;
    server.readToEnd();
    server.close();
    const { closed } = await expectConnection(our.tracer, client);
    expect(closed.retransmits).toBe(info.total_retrans!);
    await expectConnection(our.tracer, server);
    await flushed(our.tracer);
    const { local, remote } = client.truth;
    const again = our.tracer.unclaimed(
      (event) => event.local.port === local.port && event.remote.port === remote.port,
    );
    expect(again).toEqual([]);
  });

  test("a read that waits with MSG_WAITALL while six bytes come in three pieces counts six", async () => {
    const reader = our.actor("block-in-waitall", 6);
    const { port, pid } = await reader.hear<{ port: number; pid: number }>();
    const client = peer.dial("127.0.0.1", port);
    client.set(k.SOL_TCP, k.TCP_NODELAY, 1);
    for (const bytes of [1, 2, 3]) {
      peer.until("recv(2)", () => systemCall(pid) === RECVFROM);
      client.write(bytes);
      client.awaitInfo("the acknowledgement", (info) => info.unacked === 0);
    }
    expect(await reader.hear<{ got: number }>()).toEqual({ got: 6 });
    client.close();
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, await reader.hear<peer.Truth>());
  });

  test("97 connections between the same two ports, each as soon as the one before is gone", async () => {
    const listener = new peer.Listener("127.0.0.1");
    const ends: peer.Peer[] = [];
    using reserved = reservedPort();
    for (let i = 1; i <= 97; i++) {
      const client = peer.dial("127.0.0.1", listener.port, reserved);
      const server = listener.accept();
      client.write(i);
      server.read(i);
      client.abort();
      server.awaitReset();
      server.close();
      ends.push(client, server);
    }
    listener.close();
    for (const end of ends) await expectConnection(our.tracer, end);
  });

  test.skipIf(!isWritable(LAST_PID))(
    "two processes with the same pid, one after the other",
    async () => {
      const listener = new peer.Listener("127.0.0.1");
      const run = async (bytes: number): Promise<Actor> => {
        const child = our.actor("connect-and-exit", listener.port, bytes);
        const client = await child.hear<peer.Truth>();
        const server = listener.accept();
        server.readToEnd();
        server.close();
        await child.process.exited;
        expect(client).toMatchObject({ pid: child.pid, sent: bytes });
        ends.push(client, server.truth);
        return child;
      };
      const ends: peer.Truth[] = [];
      let bytes = 1009;
      let former = await run(bytes);
      // Somebody else's process may get the pid, and keep it: then the next one is to get that of the last one.
      await eventually("process with the pid of the one before", async () => {
        writeFileSync(LAST_PID, String(former.pid - 1));
        const next = await run(++bytes);
        const isSame = next.pid === former.pid;
        former = next;
        return isSame;
      });
      listener.close();
      for (const truth of ends) await expectConnection(our.tracer, truth);
    },
  );

  test.skipIf(availableParallelism() < 2)(
    "connections that open and close on two CPUs at once are each told once",
    async () => {
      const storms = [0, 1].map(() => our.actor("storm-on-go", ON_EACH_CPU));
      for (const [cpu, storm] of storms.entries()) {
        const { pid } = await storm.hear<{ pid: number }>();
        const bound = Bun.spawnSync(["taskset", "-p", String(1 << cpu), String(pid)]);
        expect(bound.exitCode).toBe(0);
      }
      for (const storm of storms) storm.go();
      const truths = (await Promise.all(storms.map((storm) => storm.hear<peer.Truth[]>()))).flat();
      expect(truths).toHaveLength(2 * 2 * ON_EACH_CPU);
      for (const truth of truths) await expectConnection(our.tracer, truth);
    },
  );

  test("a connection that stands still while 101 others come and go is not given up", async () => {
    const { client, server } = peer.pair();
    client.write(503);
    server.read(503);
    for (const end of [client, server]) await expectOpened(our.tracer, end.truth);
    const truths = await our.actor("storm", 101).hear<peer.Truth[]>();
    for (const truth of truths) await expectConnection(our.tracer, truth);
    await flushed(our.tracer);
    server.write(509);
    client.read(509);
    for (const end of [client, server]) end.close();
    for (const end of [client, server]) await expectClosed(our.tracer, end.truth);
  });
});

test.each(modes)(
  "--attach %s --max-connections: more refused connects than that are told, and take no room",
  async (mode) => {
    const tracer = await startGuessed(mode, ["--max-connections", String(ROOM)]);
    using port = refusing("127.0.0.1");
    const to = sockaddr("127.0.0.1", port.port);
    for (let i = 0; i < BEYOND_ROOM; i++) {
      const fd = peer.check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
      expect(libc.connect(fd, to)).toBe(-k.ECONNREFUSED);
      libc.close(fd);
    }
    await flushed(tracer);
    const told = tracer.events.filter(
      ({ protocol, remote }) => protocol === "tcp" && remote.port === port.port,
    );
    expect(told).toHaveLength(BEYOND_ROOM);
    for (const event of told)
      expect(event).toMatchObject({ event: "fail", failure: "ECONNREFUSED", pid: process.pid });
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);
  },
);

/** FULL=1 adds what is too slow for an emulated guest. */
const slow = process.env["VM_KERNEL"] !== undefined && process.env["FULL"] !== "1";

test.skipIf(slow).each(modes)(
  "--attach %s: of what happens while the tracer stands still, the rings' worth is told, the rest is counted",
  async (mode) => {
    const { tracer, actor } = await stormUnwatched(mode, STORM);
    await tracer.until(() => /event ring full/.test(tracer.stderr), "word of the loss");
    expect(await tracer.stop()).toBe(0);
    const lost = lossOf(tracer.stderr);
    const own = tracer.events.filter(({ pid }) => pid === actor.pid);
    expect(own.length).toBeGreaterThan(997);
    // Four lines each.
    expect(own.length + lost).toBe(4 * STORM);
    // The objects in the stream say the same as the last line.
    expect(tracer.lost.map(({ cause }) => cause)).toContain("event ring full");
    expect(tracer.lost.reduce((sum, { count }) => sum + count, 0)).toBe(lost);
    expect(own.length).toBeLessThan(4 * STORM);
    const keys = new Set(own.map((e) => `${e.event} ${e.local.port} ${e.remote.port} ${e.time}`));
    expect(keys.size).toBe(own.length);
    await actor.end();
  },
);

test.skipIf(slow).each(modes)(
  "--attach %s: of more than a ring holds what finds room elsewhere is not told to be lost",
  async (mode) => {
    const { tracer, actor } = await stormUnwatched(mode, BEYOND_RING);
    const own = () => tracer.events.filter(({ pid }) => pid === actor.pid);
    await tracer.until(() => own().length >= 4 * BEYOND_RING, "all lines");
    expect(await tracer.stop()).toBe(0);
    expect(own().length).toBe(4 * BEYOND_RING);
    expect(tracer.stderr).toMatch(/none lost/);
    await actor.end();
  },
);

// --- internal ---

const STORM = 9973;
/** 24,000 lines: the ring and half of the spill. */
const BEYOND_RING = 6_000;

/**
 * Makes so many connections while the tracer stands still, on one processor, so that one ring gets it all: 4 MiB hold some
 * 22,000 lines, the spill 4,096. Only their port is traced: what others of this host do meanwhile takes no room.
 */
async function stormUnwatched(
  mode: Mode,
  count: number,
): Promise<{ tracer: Tracer; actor: Actor }> {
  const actor = new Actor("storm-on-go", count);
  const { port } = await actor.hear<{ port: number }>();
  const tracer = await Tracer.start(mode, ["--tcp", "--port", String(port)]);
  expect(Bun.spawnSync(["taskset", "-p", "1", String(actor.pid)]).exitCode).toBe(0);
  tracer.process.kill("SIGSTOP");
  actor.go();
  await actor.hear();
  tracer.process.kill("SIGCONT");
  return { tracer, actor };
}

/** As the last line sums it up. */
function lossOf(stderr: string): number {
  const lost = /\d+ events in .*, lost (\d+) events: .*event ring full/.exec(stderr);
  return Number(lost?.[1] ?? 0);
}

/** A port that the kernel gives to nobody who does not ask for it by its number. */
function reservedPort(): Port {
  const fd = peer.check(libc.socket(k.AF_INET, k.SOCK_STREAM | k.SOCK_CLOEXEC, 0), "socket");
  peer.check(libc.bind(fd, sockaddr("127.0.0.1", 0)), "bind");
  const { port } = peer.nameOf(libc.getsockname, fd);
  peer.check(libc.setsockoptInt(fd, k.SOL_SOCKET, k.SO_REUSEADDR, 1), "SO_REUSEADDR");
  return { port, [Symbol.dispose]: () => void libc.close(fd) };
}

/** Nothing reaches the server until the client has sent its data three times; what TCP_INFO then says. */
function lossy(client: peer.Peer, server: peer.Peer): TcpInfo {
  client.write(1009);
  server.read(1009);
  client.awaitInfo("idle", (info) => info.unacked === 0);
  peer.check(dropArriving(server.fd), "filter");
  client.write(2003);
  client.awaitInfo("two retransmissions", (info) => info.total_retrans! >= 2);
  stopDropping(server.fd);
  server.read(2003);
  return client.awaitInfo("idle", (info) => info.unacked === 0);
}

function systemCall(pid: number): string {
  return readFileSync(`/proc/${pid}/syscall`, "latin1").split(" ")[0]!;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
