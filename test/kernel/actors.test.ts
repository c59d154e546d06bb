/** The processes of drive/actor.ts must do what they claim, with no tracer about. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { Actor, actorCommand } from "./drive/actors.ts";
import * as peer from "./drive/peer.ts";

setDefaultTimeout(120_000);

test("connect-and-exit leaves its bytes behind and ends the stream", async () => {
  const listener = new peer.Listener("127.0.0.1");
  const child = new Actor("connect-and-exit", listener.port, 1021);
  const truth = await child.hear<peer.Truth>();
  const server = listener.accept();
  server.readToEnd();
  expect(truth).toMatchObject({ pid: child.pid, sent: 1021, local: server.truth.remote });
  expect(server.truth.received).toBe(1021);
  expect(await child.process.exited).toBe(0);
  server.close();
  listener.close();
});

test("block-in-accept accepts and counts", async () => {
  const child = new Actor("block-in-accept");
  const { port } = await child.hear<{ port: number }>();
  const client = peer.dial("127.0.0.1", port);
  client.write(1013);
  client.close();
  expect(await child.hear<peer.Truth>()).toMatchObject({
    opened: "accept",
    pid: child.pid,
    received: 1013,
  });
});

test("hand-to-child: the stream ends only when the child does", async () => {
  const listener = new peer.Listener("127.0.0.1");
  const child = new Actor("hand-to-child", listener.port, 1031);
  const truth = await child.hear<peer.Truth>();
  const server = listener.accept();
  server.read(1031);
  child.go();
  server.readToEnd();
  expect(await child.hear<{ code: number }>()).toEqual({ code: 0 });
  expect(server.truth.received).toBe(truth.sent);
  server.close();
  listener.close();
});

test("storm makes each connection once and counts both ends", async () => {
  const truths = await new Actor("storm", 211).hear<peer.Truth[]>();
  expect(truths).toHaveLength(422);
  const ends = truths.map(({ local, remote }) => `${local.port} ${remote.port}`);
  expect(new Set(ends).size).toBe(422);
  const sent = truths.reduce((sum, truth) => sum + truth.sent, 0);
  expect(sent).toBe((2 * (100 * 101)) / 2 + (11 * 12) / 2);
});

test("traffic keeps its rate", async () => {
  const child = new Actor("traffic", 200);
  await child.hear();
  await Bun.sleep(1000);
  await child.end();
  const { made, perSecond } = await child.hear<{ made: number; perSecond: number }>();
  // A slow or busy machine makes fewer, never more.
  expect(made).toBeGreaterThan(0);
  expect(perSecond).toBeLessThan(220);
});

test("own-netns uses our ports in a namespace of its own", async () => {
  const { client, server } = peer.pair();
  const child = new Actor("own-netns", client.truth.remote.port, client.truth.local.port);
  const [theirs] = await child.hear<[peer.Truth]>();
  expect(theirs.local).toEqual(client.truth.local);
  expect(theirs.remote).toEqual(client.truth.remote);
  expect(theirs.netns).not.toBe(client.truth.netns);
  expect(theirs.netns).toBe(peer.netnsOf(child.pid));
  child.go();
  expect(await child.process.exited).toBe(0);
  client.close();
  server.close();
});

test("fast-open sends data in the SYN", async () => {
  const truths = await new Actor("fast-open").hear<peer.Truth[]>();
  expect(truths.map(({ sent, received }) => [sent, received])).toEqual([
    [499, 0],
    [0, 499],
    [503, 0],
    [0, 503],
  ]);
});

test("the stream's writer and reader count the same, also across 2^20", async () => {
  const reader = new Actor("stream-reader");
  const { port } = await reader.hear<{ port: number }>();
  const bytes = 2 ** 23 + 7;
  const writer = await new Actor("stream-writer", port, bytes).hear<peer.Truth>();
  const server = await reader.hear<peer.Truth>();
  expect([writer.sent, server.received]).toEqual([bytes, bytes]);
});

test("the HTTP server counts what the HTTP client got", async () => {
  const server = new Actor("http-server");
  const { port } = await server.hear<{ port: number }>();
  const client = await new Actor("http-client", port).hear<{ length: number }>();
  const counts = await server.hear<{ sent: number; received: number }>();
  expect(client.length).toBe(104_729);
  expect(counts.sent).toBeGreaterThan(104_729);
  expect(counts.received).toBeGreaterThan(50);
  await server.end();
});

test.each(["lo", "nolo"])("in-netns %s runs a command in another namespace", async (lo) => {
  const script = `
    import { readlinkSync, readFileSync } from "node:fs";
    const libc = await import(process.argv[1]);
    console.log(readlinkSync("/proc/self/ns/net"), libc.interfaceIsUp("lo"),
      readFileSync("/proc/sys/net/ipv6/conf/all/disable_ipv6", "latin1").trim());
  `;
  const libc = new URL("../../src/kernel/libc.ts", import.meta.url).pathname;
  const child = Bun.spawn(
    actorCommand(
      "in-netns",
      lo,
      "nov6",
      "env",
      "BUN_BE_BUN=1",
      process.execPath,
      "-e",
      script,
      libc,
    ),
    { env: { ...process.env, BUN_BE_BUN: "1" }, stdout: "pipe" },
  );
  const [netns, up, nov6] = (await new Response(child.stdout).text()).trim().split(" ");
  expect(await child.exited).toBe(0);
  expect(netns).toMatch(/^net:\[\d+\]$/);
  expect(netns).not.toBe(readlinkSync("/proc/self/ns/net"));
  expect([up, nov6]).toEqual([String(lo === "lo"), "1"]);
});
