/** Connections that do not take the usual way into or out of the kernel. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import * as k from "../../src/kernel/constants.ts";
import { dropArriving, stopDropping } from "../../src/kernel/filter.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr } from "../../src/kernel/sockaddr.ts";
import { type Port, Attempt, silent } from "./drive/attempt.ts";
import { expectConnection } from "./drive/expect.ts";
import { answerSyn, catchSyn, unreachable } from "./drive/icmp.ts";
import { lists, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { flushed, traced } from "./drive/traced.ts";
import type { Event } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const MPTCP_ENABLED = "/proc/sys/net/mptcp/enabled";
const hasMptcp = existsSync(MPTCP_ENABLED) && readFileSync(MPTCP_ENABLED, "utf8").trim() === "1";

describe.each(modes)("trace --attach %s", (mode) => {
  let listener: peer.Listener;
  let early: number;
  let unanswered: { port: Port; attempt: Attempt; syn: Uint8Array };
  const our = traced(mode, async () => {
    // A connect that hangs: its SYN is lost, and the kernel repeats it after a second or more.
    listener = new peer.Listener("127.0.0.1");
    dropArriving(listener.fd);
    const type = k.SOCK_STREAM | k.SOCK_NONBLOCK | k.SOCK_CLOEXEC;
    early = peer.check(libc.socket(k.AF_INET, type, 0), "socket");
    libc.connect(early, sockaddr("127.0.0.1", listener.port));
    const port = silent("127.0.0.1");
    const attempt = new Attempt("127.0.0.1", port.port, { nonblock: true });
    const syn = catchSyn(port.port, () => attempt.connect());
    unanswered = { port, attempt, syn };
  });
  /** Both ends, for the kernel gives a port to more than one connection. */
  const of = (ports: number[]): Event[] =>
    our.tracer.events.filter(
      ({ protocol, local, remote }) =>
        protocol === "tcp" && ports.includes(local.port) && ports.includes(remote.port),
    );

  test("a connect that was under way before the trace is outgoing, its bytes exact, its process null or right", async () => {
    stopDropping(listener.fd);
    peer.awaitReadable(listener.fd);
    const server = listener.accept();
    expect(libc.pollOne(early, k.POLLOUT, 10_000)).toBeGreaterThan(0);
    const client = new peer.Peer(early, "connect");
    client.write(1013);
    server.read(1013);
    client.close();
    server.close();
    await expectConnection(our.tracer, server);
    const opened = await our.tracer.take("connect", client.truth);
    const closed = await our.tracer.take("close", client.truth);
    for (const event of [opened, closed]) {
      expect(event.direction).toBe("outgoing");
      expect([null, process.pid]).toContain(event.pid);
    }
    expect(closed).toMatchObject({ bytes_sent: 1013, bytes_received: 0, duration_us: null });
    listener.close();
  });

  // The walk of the tracepoint mode needs the kernel's types.
  test.skipIf(!lists(mode))(
    "a connect that was under way before the trace, and is refused, is a failure; its process null or right",
    async () => {
      const { port, attempt, syn } = unanswered;
      answerSyn(syn, unreachable.ECONNREFUSED);
      attempt.awaitEnd();
      expect(attempt.takeError()).toBe(k.ECONNREFUSED);
      attempt.close();
      port[Symbol.dispose]();
      const { netns, local, remote } = attempt.truth;
      const failed = await our.tracer.take("fail", attempt.truth);
      expect(failed).toMatchObject({ direction: "outgoing", failure: "ECONNREFUSED" });
      expect(failed).toMatchObject({ netns, local, remote });
      expect([null, process.pid]).toContain(failed.pid);
    },
  );

  test.skipIf(!hasMptcp)(
    "MPTCP: no line twice, no count that is wrong, and the plain connections after it are exact",
    async () => {
      // They listen on to the end: no later connection gets their ports.
      const listeners = Array.from({ length: 7 }, () => mptcpConnection(1019, 1021));
      for (let i = 0; i < 13; i++) {
        const { client, server } = peer.pair();
        client.write(1031);
        server.read(1031);
        client.close();
        server.close();
        await expectConnection(our.tracer, client);
        await expectConnection(our.tracer, server);
      }
      await flushed(our.tracer);
      for (const { ports } of listeners) {
        const events = of(ports);
        const outgoing = events.filter(({ direction }) => direction === "outgoing");
        expect(outgoing.map(({ event }) => event)).toEqual(["connect", "close"]);
        for (const event of outgoing) expect(event.pid).toBe(process.pid);
        for (const { bytes_sent = null, bytes_received = null } of events) {
          expect([null, 1019, 1021]).toContain(bytes_sent);
          expect([null, 1019, 1021]).toContain(bytes_received);
        }
        // Taken, so that nothing of them is left over as unexpected.
        for (const event of events)
          await our.tracer.take(event.event, { ...event, netns: event.netns! });
      }
      for (const { fd } of listeners) libc.close(fd);
    },
  );
});

/** One MPTCP connection over loopback, done with when it returns; its listener is still there. */
function mptcpConnection(there: number, back: number): { fd: number; ports: number[] } {
  const socket = () => {
    const type = k.SOCK_STREAM | k.SOCK_CLOEXEC;
    return peer.check(libc.socket(k.AF_INET, type, k.IPPROTO_MPTCP), "socket");
  };
  const server = socket();
  peer.check(libc.bind(server, sockaddr("127.0.0.1", 0)), "bind");
  peer.check(libc.listen(server, 8), "listen");
  const { port } = peer.nameOf(libc.getsockname, server);
  const client = socket();
  peer.check(libc.connect(client, sockaddr("127.0.0.1", port)), "connect");
  const ports = [port, peer.nameOf(libc.getsockname, client).port];
  const accepted = peer.check(libc.accept4(server, k.SOCK_CLOEXEC), "accept4");
  move(client, accepted, there);
  move(accepted, client, back);
  for (const fd of [client, accepted]) libc.close(fd);
  return { fd: server, ports };
}

function move(from: number, to: number, bytes: number): void {
  expect(libc.send(from, peer.payload(bytes), 0)).toBe(bytes);
  const buffer = new Uint8Array(bytes);
  for (let got = 0; got < bytes;) {
    const n = libc.recv(to, buffer.subarray(got), 0);
    if (n <= 0) throw new Error(`recv returned ${n}`);
    got += n;
  }
}
