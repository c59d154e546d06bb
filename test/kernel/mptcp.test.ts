/** MPTCP is shown as its subflows, which are TCP connections: all of them, each with its process and its bytes. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { IPPROTO_MPTCP } from "../../src/kernel/constants.ts";
import { expectConnection } from "./drive/expect.ts";
import { linuxAtLeast, modes } from "./drive/modes.ts";
import { forbidRoutesFrom, furtherSubflows, withEndpoint } from "./drive/mptcp_subflows.ts";
import * as peer from "./drive/peer.ts";
import { flushed, traced } from "./drive/traced.ts";
import type { Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const ENABLED = "/proc/sys/net/mptcp/enabled";
const hasMptcp = existsSync(ENABLED) && readFileSync(ENABLED, "utf8").trim() === "1";

const dial = (port: number, address = "127.0.0.1") =>
  peer.dial(address, port, { protocol: IPPROTO_MPTCP });

/**
 * The lines of the first subflow. Where the other end is late to acknowledge, as in a slow guest, MPTCP sends the message
 * again, as new bytes of TCP: then the bytes are those of several.
 */
async function expectFirstSubflow(tracer: Tracer, end: peer.Peer | peer.Truth): Promise<void> {
  const truth = "truth" in end ? end.truth : end;
  const close = await tracer.until(
    () =>
      tracer.events.find(
        ({ event, local, remote, netns }) =>
          event === "close" &&
          netns === truth.netns &&
          local.port === truth.local.port &&
          remote.port === truth.remote.port,
      ),
    "its close",
  );
  const again = (told: number | null | undefined, once: number): number =>
    once > 0 && told && told % once === 0 ? told : once;
  await expectConnection(tracer, {
    ...truth,
    sent: again(close.bytes_sent, truth.sent),
    received: again(close.bytes_received, truth.received),
  });
}

// Debian left it out of its 5.10.
test("kernels from 6.1 on have MPTCP", () => {
  expect(hasMptcp).toBe(linuxAtLeast(6, 1));
});

describe.skipIf(!hasMptcp).each(modes)("trace --attach %s", (mode) => {
  const our = traced(mode);

  test("short connections to another process are that process', and their bytes are exact", async () => {
    const server = our.actor("mptcp", 1021, "close");
    const { port } = await server.hear<{ port: number }>();
    for (let n = 0; n < 7; n++) {
      const client = dial(port);
      client.write(1019);
      client.read(1021);
      client.close();
      await expectFirstSubflow(our.tracer, client);
      await expectFirstSubflow(our.tracer, await server.hear<peer.Truth>());
    }
  });

  test("a process that ends without a close is named", async () => {
    const server = our.actor("mptcp", 1031, "exit");
    const { port } = await server.hear<{ port: number }>();
    const client = dial(port);
    client.write(1033);
    client.read(1031);
    client.close();
    const accepted = await server.hear<peer.Truth>();
    // Any thread of the process may be the last one.
    expect((await our.tracer.take("accept", accepted)).pid).toBeOneOf([null, server.pid]);
    expect(await our.tracer.take("close", accepted)).toMatchObject({
      pid: server.pid,
      bytes_sent: 1031,
      bytes_received: 1033,
    });
    await expectFirstSubflow(our.tracer, client);
  });

  test("a server that closes first, and IPv6", async () => {
    const listener = new peer.Listener("::1", 0, 64, IPPROTO_MPTCP);
    for (let n = 0; n < 3; n++) {
      const client = dial(listener.port, "::1");
      const server = listener.accept();
      client.write(1039);
      server.read(1039);
      server.close();
      client.readToEnd();
      client.close();
      await expectFirstSubflow(our.tracer, server);
      await expectFirstSubflow(our.tracer, client);
    }
    listener.close();
  });

  test("a plain client of a server with MPTCP is shown like any other", async () => {
    const listener = new peer.Listener("127.0.0.1", 0, 64, IPPROTO_MPTCP);
    const client = peer.dial("127.0.0.1", listener.port);
    const server = listener.accept();
    client.write(1049);
    server.read(1049);
    client.close();
    server.close();
    await expectFirstSubflow(our.tracer, client);
    await expectFirstSubflow(our.tracer, server);
    listener.close();
  });

  test("a connection that nobody accepts has lines of its client only", async () => {
    const listener = new peer.Listener("127.0.0.1", 0, 64, IPPROTO_MPTCP);
    const client = dial(listener.port);
    client.write(11);
    client.close();
    listener.close();
    await our.tracer.take("connect", client.truth);
    await our.tracer.take("close", client.truth);
    await flushed(our.tracer);
    const { local, remote } = client.truth;
    const ofServer = our.tracer.events.filter(
      (event) => event.local.port === remote.port && event.remote.port === local.port,
    );
    expect(ofServer).toEqual([]);
  });

  test("a further subflow, which a worker of the kernel opens, is never the worker's", async () => {
    const FROM = "127.0.0.77";
    const first = withEndpoint(FROM, () => {
      const listener = new peer.Listener("127.0.0.1", 0, 64, IPPROTO_MPTCP);
      const client = dial(listener.port);
      const server = listener.accept();
      client.write(1051);
      server.read(1051);
      server.write(1061);
      client.read(1061);
      peer.until("a further subflow", () => furtherSubflows(client.fd) === 1);
      client.close();
      server.close();
      listener.close();
      return { client, server };
    });
    await expectFirstSubflow(our.tracer, first.client);
    await expectFirstSubflow(our.tracer, first.server);
    const { pid, netns } = first.client.truth;
    const further = () =>
      our.tracer.events.filter(
        (event) =>
          event.netns === netns &&
          [event.local, event.remote].some(({ address }) => address === FROM),
      );
    await our.tracer.until(
      () => further().filter(({ event }) => event === "close").length === 2,
      "the closes of both its ends",
    );
    const opened = further().find(({ event }) => event === "connect");
    expect(opened).toMatchObject({ pid: null, comm: null, uid: null, direction: "outgoing" });
    for (const event of further()) {
      expect(event.pid).toBeOneOf([null, pid]);
      await our.tracer.take(event.event, { ...event, netns: netns! });
    }
  });

  test("a further subflow that fails before its SYN is never the worker's", async () => {
    const FROM = "127.0.0.78";
    const ends = withEndpoint(FROM, () => {
      forbidRoutesFrom(FROM);
      const listener = new peer.Listener("127.0.0.1", 0, 64, IPPROTO_MPTCP);
      const client = dial(listener.port);
      const server = listener.accept();
      client.write(1063);
      server.read(1063);
      server.write(1069);
      client.read(1069);
      return { listener, client, server };
    });
    const { remote, netns } = ends.client.truth;
    const failed = await our.tracer.takeIf(
      "fail",
      "of the further subflow",
      (event) => event.remote.port === remote.port && event.netns === netns,
    );
    expect(failed).toMatchObject({ pid: null, comm: null, uid: null, direction: "outgoing" });
    expect(failed.local.address).toBe(FROM);
    for (const end of [ends.client, ends.server, ends.listener]) end.close();
    await expectFirstSubflow(our.tracer, ends.client);
    await expectFirstSubflow(our.tracer, ends.server);
  });
});
