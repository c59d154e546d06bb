/**
 * `trace` prints the connections that the test makes, in every attach mode this kernel has. The truth: the counts of the
 * two ends (drive/peer.ts). Byte counts must equal them exactly.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr, sockaddrUnspec } from "../../src/kernel/sockaddr.ts";
import { expectClosed, expectConnection, expectOpened } from "./drive/expect.ts";
import { has, linuxAtLeast, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { scenarios } from "./drive/scenarios.ts";
import { flushed, traced } from "./drive/traced.ts";
import { PATIENCE_MS, run, Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

test("this kernel has an attach mode", () => {
  expect(modes).not.toBeEmpty();
});

for (const mode of ["kprobe", "tracepoint"] as const)
  test.skipIf(has[mode])(
    `${mode} mode is refused, with the reason, where the kernel has none`,
    async () => {
      const args = ["trace", "--attach", mode, "--duration", "1s"];
      const { exitCode, stdout, stderr } = await run(args);
      expect(stderr).toMatch(new RegExp(mode, "i"));
      expect(exitCode).toBe(3);
      expect(stdout).toBe("");
    },
  );

describe.each(modes)("trace --attach %s", (mode) => {
  const our = traced(mode, undefined, [], Tracer.start);

  test("a connection that stays open is reported at once, its acceptor with pid and command", async () => {
    // In tracepoint mode the first owner found is remembered by its port; others' accepts may delay that by a second.
    const listener = new peer.Listener("127.0.0.1");
    let named = false;
    for (const deadline = performance.now() + PATIENCE_MS; !named;) {
      expect(performance.now()).toBeLessThan(deadline);
      const client = peer.dial("127.0.0.1", listener.port);
      const server = listener.accept();
      await expectOpened(our.tracer, client.truth);
      named = (await expectOpened(our.tracer, server.truth)).pid === process.pid;
      client.close();
      server.close();
      const closed = await expectClosed(our.tracer, client.truth);
      expect(closed.duration_us).toBeGreaterThan(0);
      await expectClosed(our.tracer, server.truth);
    }
    listener.close();
  });

  test("an accept tells how long the connection waited for it", async () => {
    // Nothing tells when accept(2) was called by tracepoints; and before 4.20 the kernel's own time is another clock's.
    const isTold = mode === "kprobe" && linuxAtLeast(4, 20);
    for (const waits of [0, 30_000]) {
      const listener = new peer.Listener("127.0.0.1");
      const begins = performance.now();
      const client = peer.dial("127.0.0.1", listener.port);
      listener.awaitConnection();
      libc.usleep(waits);
      const server = listener.accept();
      const most = (performance.now() - begins) * 1000;
      const { accept_us } = await expectOpened(our.tracer, server.truth);
      await expectOpened(our.tracer, client.truth);
      if (!isTold) expect(accept_us).toBeNull();
      else {
        expect(accept_us!).toBeGreaterThanOrEqual(waits);
        expect(accept_us!).toBeLessThanOrEqual(most);
      }
      for (const end of [client, server, listener]) end.close();
      for (const { truth } of [client, server]) await expectClosed(our.tracer, truth);
    }
  });

  describe.each(Object.entries(scenarios))("%s", (_, drive) => {
    test("connect, accept and both closes are reported, with exact bytes", async () => {
      const pairs = Object.keys(peer.families).map((family) => {
        const pair = peer.pair(family as peer.Family);
        drive(pair);
        return pair;
      });
      for (const { client, server } of pairs) {
        await expectConnection(our.tracer, client);
        await expectConnection(our.tracer, server);
      }
    });
  });

  test("an IPv4 connection accepted by a socket that listens on IPv6 is IPv4 on both ends", async () => {
    const listener = new peer.Listener("::");
    const client = peer.dial("127.0.0.1", listener.port);
    const server = listener.accept();
    listener.close();
    server.write(11);
    client.read(11);
    client.close();
    server.close();
    expect(server.truth.local.address).toBe("127.0.0.1");
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, server);
  });

  test("RTT, retransmits and segments at close are what TCP_INFO said just before", async () => {
    const { client, server } = peer.pair();
    peer.transfer(client, server, 104_729);
    peer.transfer(server, client, 7919);
    server.awaitInfo("idle", (info) => info.unacked === 0);
    const info = client.awaitInfo("idle", (info) => info.unacked === 0);
    // Without a FIN: its acknowledgement is one more sample and one more segment, in tracepoint mode already counted.
    client.abort();
    awaitResetAndClose(server);
    const { closed } = await expectConnection(our.tracer, client);
    expect(closed).toMatchObject({
      rtt_us: info.rtt!,
      rtt_var_us: info.rttvar!,
      retransmits: info.total_retrans!,
      segs_out: info.segs_out!,
      segs_in: info.segs_in!,
    });
    await expectConnection(our.tracer, server);
  });

  test("a connection that nobody accepted is shown to its client only", async () => {
    const listener = new peer.Listener("127.0.0.1");
    const client = peer.dial("127.0.0.1", listener.port);
    client.write(11);
    peer.until("the acknowledgement", () => client.info().unacked === 0);
    listener.close();
    client.awaitReset();
    client.close();
    await expectConnection(our.tracer, client);
    await flushed(our.tracer);
    expect(our.tracer.unclaimed((event) => event.local.port === listener.port)).toEqual([]);
  });

  test("a socket connected to itself is one connection, and counts what it reads", async () => {
    const fd = peer.check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
    peer.check(libc.bind(fd, sockaddr("127.0.0.1", 0)), "bind");
    const { port } = boundTo(fd);
    peer.check(libc.connect(fd, sockaddr("127.0.0.1", port)), "connect");
    const self = new peer.Peer(fd, "connect");
    expect(self.truth.local).toEqual(self.truth.remote);
    self.write(509);
    self.read(509);
    self.close();
    await expectConnection(our.tracer, self);
  });

  test("a socket disconnected by AF_UNSPEC and connected again is two connections", async () => {
    const listeners = [new peer.Listener("127.0.0.1"), new peer.Listener("127.0.0.1")] as const;
    const first = peer.dial("127.0.0.1", listeners[0].port);
    const firstServer = listeners[0].accept();
    first.write(701);
    firstServer.read(701);
    firstServer.write(709);
    first.read(709);
    peer.check(libc.connect(first.fd, sockaddrUnspec()), "disconnect");
    awaitResetAndClose(firstServer);
    peer.check(libc.connect(first.fd, sockaddr("127.0.0.1", listeners[1].port)), "connect again");
    const second = new peer.Peer(first.fd, "connect");
    const secondServer = listeners[1].accept();
    second.write(719);
    secondServer.read(719);
    second.close();
    secondServer.close();
    for (const listener of listeners) listener.close();
    for (const end of [first, firstServer, second, secondServer])
      await expectConnection(our.tracer, end);
  });
});

// --- internal ---

function awaitResetAndClose(end: peer.Peer): void {
  end.awaitReset();
  end.close();
}

function boundTo(fd: number): { port: number } {
  const name = new Uint8Array(16);
  peer.check(libc.getsockname(fd, name), "getsockname");
  return { port: new DataView(name.buffer).getUint16(2) };
}
