/**
 * The direction of a UDP flow whose first datagram this socket did not get: the socket is older than the trace, or it
 * shares its port with the socket that got the datagram. The truth: the end that sent first.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomInt } from "node:crypto";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { expectFlowsInAnyOrder, type FlowTruth, tracesUdp, Udp } from "./drive/datagrams.ts";
import { modes } from "./drive/modes.ts";
import { check, families, payload } from "./drive/peer.ts";
import { traced } from "./drive/traced.ts";

setDefaultTimeout(180_000);

type Direction = FlowTruth["direction"];

/** Ports that a server is bound to: none that the kernel would choose, and one that it might have chosen. */
const ranges = { "a service's": [20_000, 32_000], "an ephemeral": [33_000, 60_000] } as const;

describe.each(modes.filter(tracesUdp))("trace --attach %s", (mode) => {
  /** A server that was asked before the trace, and its client, by range. */
  const older = new Map<string, { server: Udp; client: Udp }>();
  const listeners = new Map<string, Udp>();
  const asking: Record<string, { server: Udp; client: Udp }> = {};
  const our = traced(mode, async () => {
    for (const [family, address] of Object.entries(families)) {
      asking[family] = pairOf(address, ranges["an ephemeral"]);
      for (const [name, range] of Object.entries(ranges)) {
        older.set(`${family} ${name}`, pairOf(address, range));
        listeners.set(`${family} ${name}`, bound(address, range));
      }
    }
  });

  /** Closes the sockets and expects their flows: the direction is what matters, and is the same in both lines. */
  async function expectDirections(...socks: [Udp, Direction][]): Promise<void> {
    for (const [sock] of socks) sock.close();
    await expectFlowsInAnyOrder(
      our.tracer,
      socks.flatMap(([sock, direction]) =>
        sock.truths(mode).map((truth) => ({ ...truth, direction })),
      ),
    );
  }

  // With tracepoints the ends of sockets are looked for once a second: so these wait for theirs together.
  describe.concurrent.each(Object.entries(families))("%s", (family, address) => {
    describe.each(Object.entries(ranges))("a server bound to %s port", (name, range) => {
      test("before the trace, that answers now what it was asked then, was asked", async () => {
        const { server, client } = older.get(`${family} ${name}`)!;
        server.connect(client.local);
        server.send(97);
        client.receive();
        client.close();
        await expectDirections([server, "incoming"]);
        const [seen] = client.truths(mode);
        await our.tracer.take("begin", seen!);
        await our.tracer.take("close", seen!);
      });

      test.each(["younger", "older"])(
        "answers a client from another socket on the same port, listening on a %s one: it was asked",
        async (age) => {
          const listener =
            age === "older" ? listeners.get(`${family} ${name}`)! : bound(address, range);
          const client = new Udp(address).connect(listener.local);
          client.send(101);
          listener.receive();
          const worker = sharing(address, listener.local.port).connect(client.local);
          worker.send(103);
          client.receive();
          await expectDirections(
            [worker, "incoming"],
            [client, "outgoing"],
            [listener, "incoming"],
          );
        },
      );

      test("during the trace, alone on its port, has begun what it sends first", async () => {
        const peer = new Udp(address);
        const alone = bound(address, range).connect(peer.local);
        alone.send(107);
        peer.receive();
        await expectDirections([alone, "outgoing"], [peer, "incoming"]);
      });
    });

    test("two services on ports of their own: the one that sends first has begun", async () => {
      const service = ranges["a service's"];
      const [one, other] = [bound(address, service), bound(address, service)];
      one.connect(other.local);
      one.send(109);
      other.receive();
      other.sendTo(one.local, 113);
      one.receive();
      await expectDirections([one, "outgoing"], [other, "incoming"]);
    });

    test.serial(
      "workers that share a port, one of which is asked and the other answers",
      async () => {
        const asked = bound(address, ranges["a service's"]);
        const client = new Udp(address);
        client.sendTo(asked.local, 127);
        asked.receive();
        const answering = sharing(address, asked.local.port);
        answering.sendTo(client.local, 131);
        client.receive();
        asked.close();
        answering.close();
        const shown: Record<string, Direction> = {};
        for (const sock of [asked, answering]) {
          const { direction, bytes_sent } = await our.tracer.take("close", sock.truths(mode)[0]!);
          await our.tracer.take("begin", sock.truths(mode)[0]!);
          shown[bytes_sent === 0 ? "asked" : "answering"] = direction;
        }
        expect(shown).toEqual({ asked: "incoming", answering: "incoming" });
        await expectDirections([client, "outgoing"]);
      },
    );
  });

  test.each(Object.keys(families))(
    "%s: a client older than the trace, on a port that the kernel chose, has begun",
    async (family) => {
      // As above two ephemeral ports, and a datagram sent first: only who chose the port is different.
      const { server, client } = asking[family]!;
      client.send(137);
      for (let i = 0; i < 2; i++)
        libc.recvfrom(server.fd, new Uint8Array(256), 0, new Uint8Array(128));
      server.close();
      await expectDirections([client, "outgoing"]);
      const [seen] = client.truths(mode);
      const served = { ...seen!, local: seen!.remote, remote: seen!.local };
      await our.tracer.take("begin", served);
      await our.tracer.take("close", served);
    },
  );
});

// --- internal ---

const reusing = (fd: number) =>
  void check(libc.setsockoptInt(fd, k.SOL_SOCKET, k.SO_REUSEPORT, 1), "SO_REUSEPORT");

/** A port that another socket had before, perhaps when the trace began, would be taken for shared. */
const had = new Set<number>();

/** On a port that nobody has or had, chosen here. */
function bound(address: string, [from, to]: readonly [number, number]): Udp {
  for (let tries = 0; ; tries++) {
    try {
      const probe = new Udp(address, { port: randomInt(from, to) });
      probe.close();
      const { port } = probe.local;
      if (had.has(port)) continue;
      had.add(port);
      return sharing(address, port);
    } catch (error) {
      if (tries === 100) throw error;
    }
  }
}

const sharing = (address: string, port: number) => new Udp(address, { port, prepare: reusing });

/** A server, and a client that has asked it: nobody counts that, since the trace must not see it. */
function pairOf(address: string, range: readonly [number, number]): { server: Udp; client: Udp } {
  const server = bound(address, range);
  const client = new Udp(address).connect(server.local);
  had.add(client.local.port);
  libc.send(client.fd, payload(7), 0);
  return { server, client };
}
