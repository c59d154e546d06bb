/** Connections that do not take the usual way into or out of the kernel. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as k from "../../src/kernel/constants.ts";
import { dropArriving, stopDropping } from "../../src/kernel/filter.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr } from "../../src/kernel/sockaddr.ts";
import { type Port, Attempt, silent } from "./drive/attempt.ts";
import { expectConnection } from "./drive/expect.ts";
import { answerSyn, catchSyn, unreachable } from "./drive/icmp.ts";
import { lists, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { traced } from "./drive/traced.ts";

setDefaultTimeout(180_000);

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
});
