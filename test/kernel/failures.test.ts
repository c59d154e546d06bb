/**
 * Connections that fail, each exactly once: with its whole tuple, and the process that called connect or accept,
 * wherever in the kernel it fails. A line that is left over when the trace ends was shown once too often (drive/traced.ts).
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import * as k from "../../src/kernel/constants.ts";
import { stopDropping } from "../../src/kernel/filter.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr, sockaddrUnspec } from "../../src/kernel/sockaddr.ts";
import { Attempt, refusing, silent } from "./drive/attempt.ts";
import { expectConnection, expectFailed } from "./drive/expect.ts";
import { startGuessed } from "./drive/guessed.ts";
import { answerSyn, catchSyn, unreachable } from "./drive/icmp.ts";
import { linuxAtLeast, many, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { traced } from "./drive/traced.ts";

setDefaultTimeout(180_000);

const MPTCP_ENABLED = "/proc/sys/net/mptcp/enabled";
const hasMptcp = existsSync(MPTCP_ENABLED) && readFileSync(MPTCP_ENABLED, "utf8").trim() === "1";

const SHORT = many(997, 211);

describe.each(modes)("trace --attach %s", (mode) => {
  const our = traced(mode);
  const kprobes = mode === "kprobe";

  describe.each(Object.entries(peer.families))("over %s", (_, address) => {
    test("97 refused connects, blocking, are 97 failures", async () => {
      using port = refusing(address);
      const truths = Array.from({ length: 97 }, () => {
        const attempt = new Attempt(address, port.port);
        expect(attempt.connect()).toBe(-k.ECONNREFUSED);
        attempt.close();
        return attempt.failedWith("ECONNREFUSED");
      });
      for (const truth of truths) await expectFailed(our.tracer, truth);
    });

    test.each([true, false])(
      "refused without waiting for it; the error taken from the socket: %p",
      async (taken) => {
        using port = refusing(address);
        const attempt = new Attempt(address, port.port, { nonblock: true });
        expect([-k.EINPROGRESS, -k.ECONNREFUSED]).toContain(attempt.connect());
        attempt.awaitEnd();
        if (taken) attempt.takeError();
        attempt.close();
        await expectFailed(our.tracer, attempt.failedWith("ECONNREFUSED"));
      },
    );

    test("timed out, in blocking connect(2) and without anybody waiting", async () => {
      using port = silent(address);
      const waiting = new Attempt(address, port.port, { nonblock: true, retries: 1 });
      const blocking = new Attempt(address, port.port, { retries: 1 });
      expect(waiting.connect()).toBe(-k.EINPROGRESS);
      expect(blocking.connect()).toBe(-k.ETIMEDOUT);
      waiting.awaitEnd();
      expect(waiting.takeError()).toBe(k.ETIMEDOUT);
      for (const attempt of [waiting, blocking]) {
        attempt.close();
        const event = await expectFailed(our.tracer, attempt.failedWith("ETIMEDOUT"));
        // The kernel waits one second for an answer to the first SYN, and two for one to the second.
        expect(event.connect_us!).toBeGreaterThan(2_500_000);
      }
    });

    test("closed, aborted or shut down while connecting: cancelled", async () => {
      using port = silent(address);
      const ends = [
        ({ fd }: Attempt) => libc.close(fd),
        ({ fd }: Attempt) => {
          const linger = new Uint8Array(Int32Array.of(1, 0).buffer);
          libc.setsockopt(fd, k.SOL_SOCKET, k.SO_LINGER, linger);
          return libc.close(fd);
        },
        ({ fd }: Attempt) => libc.shutdown(fd, k.SHUT_RDWR) || libc.close(fd),
      ];
      for (const end of ends) {
        const attempt = new Attempt(address, port.port, { nonblock: true });
        expect(attempt.connect()).toBe(-k.EINPROGRESS);
        expect(end(attempt)).toBe(0);
        await expectFailed(our.tracer, attempt.failedWith("ECANCELED"));
      }
    });
  });

  test("refused three times on one socket, then accepted: three failures and one connection", async () => {
    const attempt = await (async () => {
      using port = refusing("127.0.0.1");
      const attempt = new Attempt("127.0.0.1", port.port, { nonblock: true });
      for (let i = 0; i < 3; i++) {
        expect(attempt.connect()).toBe(-k.EINPROGRESS);
        attempt.awaitEnd();
        // The first call after the failure only tells of it.
        expect(attempt.connect()).toBe(-k.ECONNREFUSED);
        await expectFailed(our.tracer, attempt.failedWith("ECONNREFUSED"));
      }
      return attempt;
    })();
    const listener = new peer.Listener("127.0.0.1", attempt.truth.remote.port);
    expect(attempt.connect()).toBe(-k.EINPROGRESS);
    attempt.awaitEnd();
    await acceptedAndClosed(attempt, listener);
    listener.close();
  });

  test("dissolved by AF_UNSPEC while connecting, then connected elsewhere: one failure and one connection", async () => {
    using port = silent("127.0.0.1");
    const listener = new peer.Listener("127.0.0.1");
    const attempt = new Attempt("127.0.0.1", port.port, { nonblock: true });
    expect(attempt.connect()).toBe(-k.EINPROGRESS);
    peer.check(libc.connect(attempt.fd, sockaddrUnspec()), "disconnect");
    await expectFailed(our.tracer, attempt.failedWith("ECANCELED"));
    // The port was bound and stays.
    libc.connect(attempt.fd, sockaddr("127.0.0.1", listener.port));
    attempt.awaitEnd();
    await acceptedAndClosed(attempt, listener);
    listener.close();
  });

  test("connect(2) that is interrupted goes on, and is no failure", async () => {
    using port = silent("127.0.0.1");
    const attempt = new Attempt("127.0.0.1", port.port);
    const timeval = new Uint8Array(BigInt64Array.of(0n, 50_000n).buffer);
    peer.check(libc.setsockopt(attempt.fd, k.SOL_SOCKET, k.SO_SNDTIMEO, timeval), "SO_SNDTIMEO");
    expect(attempt.connect()).toBe(-k.EINPROGRESS);
    stopDropping(port.listener.fd);
    attempt.awaitEnd();
    await acceptedAndClosed(attempt, port.listener);
  });

  test.each(Object.entries(unreachable))("%s by an ICMP message", async (name, code) => {
    using port = silent("127.0.0.1");
    const attempt = new Attempt("127.0.0.1", port.port, { nonblock: true });
    const syn = catchSyn(port.port, () => expect(attempt.connect()).toBe(-k.EINPROGRESS));
    answerSyn(syn, code);
    attempt.awaitEnd();
    expect(libc.errnoName(attempt.takeError())).toBe(name);
    attempt.close();
    await expectFailed(our.tracer, attempt.failedWith(name));
  });

  // Before 3.13, and in RHEL 7, a client's fast open is off by default.
  test.skipIf(!linuxAtLeast(3, 13))("data in the SYN of a connect that is refused", async () => {
    using port = refusing("127.0.0.1");
    const attempt = new Attempt("127.0.0.1", port.port);
    const to = sockaddr("127.0.0.1", port.port);
    expect(libc.sendto(attempt.fd, peer.payload(101), k.MSG_FASTOPEN, to)).toBe(-k.ECONNREFUSED);
    attempt.close();
    await expectFailed(our.tracer, attempt.failedWith("ECONNREFUSED"));
  });

  test.skipIf(!hasMptcp)("a refused MPTCP connect is one failure", async () => {
    using port = refusing("127.0.0.1");
    const attempt = new Attempt("127.0.0.1", port.port, { protocol: k.IPPROTO_MPTCP });
    expect(attempt.connect()).toBe(-k.ECONNREFUSED);
    attempt.close();
    await expectFailed(our.tracer, attempt.failedWith("ECONNREFUSED"));
  });

  test("a process that is refused and exits is named", async () => {
    using port = refusing("127.0.0.1");
    const child = our.actor("refused-and-exit", port.port);
    const truth = await child.hear<peer.Truth>();
    await child.process.exited;
    expect(truth.pid).toBe(child.pid);
    await expectFailed(our.tracer, truth);
  });

  test("a process that exited long before its connect timed out is named", async () => {
    using port = silent("127.0.0.1");
    const actor = our.actor("connect-and-leave", port.port);
    const { child, truth } = await actor.hear<{ child: number; truth: peer.Truth }>();
    await actor.process.exited;
    expect(truth.pid).toBe(actor.pid);
    await expectFailed(our.tracer, truth);
    process.kill(child);
  });

  test("a process that is killed in connect(2) has cancelled", async () => {
    using port = silent("127.0.0.1");
    const actor = our.actor("block-in-connect", port.port);
    const truth = await actor.hear<peer.Truth>();
    const connect = process.arch === "arm64" ? "203" : "42";
    peer.until("connect(2)", () =>
      readFileSync(`/proc/${actor.pid}/syscall`, "latin1").startsWith(`${connect} `),
    );
    actor.process.kill("SIGKILL");
    await expectFailed(our.tracer, truth);
  });

  test("a connection that was reset before it was accepted fails for both its ends", async () => {
    const listener = new peer.Listener("127.0.0.1");
    const client = peer.dial("127.0.0.1", listener.port);
    const { local, remote } = client.truth;
    client.abort();
    const fd = peer.check(libc.accept4(listener.fd, k.SOCK_CLOEXEC), "accept4");
    peer.check(libc.close(fd), "close");
    listener.close();
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, {
      ...client.truth,
      opened: "accept",
      local: remote,
      remote: local,
      failure: "ECONNRESET",
    });
  });

  test("an established connection that times out is a close with its reason, and all it moved", async () => {
    const actor = our.actor("starved");
    for (const truth of await actor.hear<peer.Truth[]>()) await expectConnection(our.tracer, truth);
    actor.go();
  });

  test("many short connections, half of them reset by their client: no failure but the resets", async () => {
    const listener = new peer.Listener("127.0.0.1");
    const ends = Array.from({ length: SHORT }, (_, i) => {
      const client = peer.dial("127.0.0.1", listener.port);
      const server = listener.accept();
      if (i % 2 === 0) client.close();
      else {
        client.abort();
        server.awaitReset();
      }
      server.close();
      return [client, server];
    });
    listener.close();
    for (const end of ends.flat()) await expectConnection(our.tracer, end);
  });

  test("a connect to where there is no route: reported with its destination, while its socket lives", async () => {
    const actor = our.actor("no-route");
    const { pid, comm, netns, remotes } = await actor.hear<
      Pick<peer.Truth, "pid" | "comm" | "netns"> & {
        remotes: { address: string; port: number; family: 4 | 6 }[];
      }
    >();
    for (const { address, port, family } of remotes) {
      const event = await our.tracer.takeIf("fail", `to port ${port}`, ({ remote }) => {
        return remote.port === port;
      });
      expect(event).toMatchObject({ pid, comm, netns, family, direction: "outgoing" });
      expect(event.remote.address).toBe(address.replace("::ffff:", ""));
      expect(event).toMatchObject({
        failure: kprobes ? "ENETUNREACH" : null,
        connect_us: null,
        local: { address: null, port: null },
      });
    }
    actor.go();
  });

  test("two connects of a socket to where there is no route, and one that is answered: two failures and a connection", async () => {
    const listener = new peer.Listener("127.0.0.1");
    const fd = peer.check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
    const ports = [7011, 7012];
    // TCP has no route to a group.
    for (const port of ports)
      expect(libc.connect(fd, sockaddr("224.0.0.7", port))).toBe(-k.ENETUNREACH);
    peer.check(libc.connect(fd, sockaddr("127.0.0.1", listener.port)), "connect");
    const client = new peer.Peer(fd, "connect");
    const server = listener.accept();
    for (const port of ports) {
      const event = await our.tracer.takeIf("fail", `to port ${port}`, ({ remote }) => {
        return remote.port === port;
      });
      const { pid, comm, netns } = client.truth;
      expect(event).toMatchObject({
        ...{ pid, comm, family: 4, remote: { address: "224.0.0.7" } },
        netns: kprobes ? netns : null,
        failure: kprobes ? "ENETUNREACH" : null,
      });
    }
    client.close();
    server.close();
    listener.close();
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, server);
  });

  test("a connect to where there is no route, whose socket is closed at once", async () => {
    const attempt = new Attempt("127.0.0.1", 7013);
    const { local, pid, comm, netns } = attempt.truth;
    expect(libc.connect(attempt.fd, sockaddr("224.0.0.7", 7013))).toBeLessThan(0);
    attempt.close();
    const event = await our.tracer.takeIf("fail", "to port 7013", ({ remote }) => {
      return remote.port === 7013;
    });
    expect(event).toMatchObject({ pid, comm, netns, local, direction: "outgoing" });
  });

  async function acceptedAndClosed(attempt: Attempt, listener: peer.Listener): Promise<void> {
    const server = listener.accept();
    const client = new peer.Peer(attempt.fd, "connect");
    client.close();
    server.close();
    await expectConnection(our.tracer, client);
    await expectConnection(our.tracer, server);
  }
});

test.each(modes)(
  "--attach %s: a connect for which no port is free has its destination, and its reason or the word that it is unknown",
  async (mode) => {
    const tracer = await startGuessed(mode);
    const listener = new peer.Listener("127.0.0.1");
    const first = peer.dial("127.0.0.1", listener.port, {
      prepare: (fd) => {
        reuseAddress(fd);
        peer.check(libc.bind(fd, sockaddr("127.0.0.1", 0)), "bind");
      },
    });
    const { local, remote, pid } = first.truth;
    // The same four-tuple once more: there is no other port that it could take.
    const fd = peer.check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
    reuseAddress(fd);
    peer.check(libc.bind(fd, sockaddr(local.address, local.port)), "bind");
    expect(libc.connect(fd, sockaddr(remote.address, remote.port))).toBe(-k.EADDRNOTAVAIL);
    libc.close(fd);
    const event = await tracer.take("fail", first.truth);
    expect(event).toMatchObject({ pid, failure: mode === "kprobe" ? "EADDRNOTAVAIL" : null });
    first.close();
    listener.close();
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(
      mode === "kprobe" ? /none lost/ : /1 event: failure without its reason/,
    );
  },
);

// --- internal ---

function reuseAddress(fd: number): void {
  peer.check(libc.setsockoptInt(fd, k.SOL_SOCKET, k.SO_REUSEADDR, 1), "SO_REUSEADDR");
}
