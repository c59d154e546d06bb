/** Open connections looked at in between: `--interval` of the command, and the way of kernels before 5.10. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { openTrace } from "../../src/trace/tracer.ts";
import { expectConnection, expectListedClosed } from "./drive/expect.ts";
import { expectFlows, tracesUdp, Udp } from "./drive/datagrams.ts";
import { startGuessed } from "./drive/guessed.ts";
import { lists, modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { Tracer, type Event } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const of = (tracer: Tracer, { truth }: peer.Peer): Event[] =>
  tracer.events.filter(
    ({ local, remote, netns }) =>
      netns === truth.netns && local.port === truth.local.port && remote.port === truth.remote.port,
  );

const counts = ({ bytes_sent, bytes_received }: Event) => [bytes_sent, bytes_received];

/** Until a line has what the end itself has counted. */
const caughtUp = (tracer: Tracer, end: peer.Peer): Promise<Event> =>
  tracer.until(
    () =>
      of(tracer, end).find(
        (event) =>
          (event.event === "open" || event.event === "sample") &&
          event.bytes_sent === end.truth.sent &&
          event.bytes_received === end.truth.received,
      ),
    `line with ${end.truth.sent} and ${end.truth.received} bytes`,
  );

/** Only growing counts and times, `sample` lines between the first line and the close. */
function expectInOrder(lines: Event[]): void {
  expect(lines.at(-1)!.event).toBe("close");
  expect(new Set(lines.map(({ id }) => id)).size).toBe(1);
  expect(lines.slice(1, -1).every(({ event }) => event === "sample")).toBe(true);
  const told = lines.filter((line) => line.bytes_sent !== undefined);
  for (const [i, line] of told.slice(1).entries()) {
    expect(line.time >= told[i]!.time).toBe(true);
    expect(line.bytes_sent!).toBeGreaterThanOrEqual(told[i]!.bytes_sent!);
    expect(line.bytes_received!).toBeGreaterThanOrEqual(told[i]!.bytes_received!);
  }
}

describe.each(modes)("trace --attach %s --interval 50ms", (mode) => {
  let tracer: Tracer;
  let older: peer.Pair & { listener: peer.Listener };

  beforeAll(async () => {
    const listener = new peer.Listener("127.0.0.1");
    const client = peer.dial("127.0.0.1", listener.port);
    older = { client, server: listener.accept(), listener };
    peer.transfer(older.client, older.server, 1013);
    tracer = await startGuessed(mode, ["--interval", "50ms"]);
  });

  afterAll(async () => {
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);
  });

  test("shows what an open connection has moved, as often as it moves something", async () => {
    const { client, server } = peer.pair();
    for (const [there, back] of [
      [1009, 0],
      [0, 2003],
      [104_729, 7919],
    ] as const) {
      if (there) peer.transfer(client, server, there);
      if (back) peer.transfer(server, client, back);
      const line = await caughtUp(tracer, client);
      expect(line).toMatchObject({ pid: client.truth.pid, direction: "outgoing" });
      expect(line.duration_us).toBeGreaterThan(0);
      await caughtUp(tracer, server);
    }
    client.close();
    server.close();
    await tracer.until(
      () => [client, server].every((end) => of(tracer, end).at(-1)?.event === "close"),
      "both closes",
    );
    for (const end of [client, server]) {
      expectInOrder(of(tracer, end));
      expect(counts(of(tracer, end).at(-1)!)).toEqual([end.truth.sent, end.truth.received]);
    }
  });

  test("shows nothing of a connection that stands still", async () => {
    const still = peer.pair();
    const busy = peer.pair();
    for (let i = 0; i < 5; i++) {
      peer.transfer(busy.client, busy.server, 11);
      await caughtUp(tracer, busy.client);
    }
    expect(of(tracer, still.client).map(({ event }) => event)).toEqual(["connect"]);
    for (const { client, server } of [still, busy]) {
      client.close();
      server.close();
      await tracer.take("close", client.truth);
      await tracer.take("close", server.truth);
    }
  });

  test.skipIf(!lists(mode))(
    "a connection older than the trace goes on from its listed counts",
    async () => {
      const { client, server, listener } = older;
      for (let i = 0; i < 3; i++) {
        peer.transfer(server, client, 503);
        const line = await caughtUp(tracer, client);
        expect(line.duration_us).toBeNull();
        await caughtUp(tracer, server);
      }
      client.close();
      server.close();
      listener.close();
      for (const end of [client, server]) {
        await expectListedClosed(tracer, end);
        expectInOrder(of(tracer, end));
      }
    },
  );

  test("connections on the same sock one after the other are not mixed", async () => {
    const listener = new peer.Listener("127.0.0.1");
    const ends: peer.Peer[] = [];
    for (let i = 1; i <= 97; i++) {
      const client = peer.dial("127.0.0.1", listener.port);
      const server = listener.accept();
      peer.transfer(client, server, i);
      if (i % 13 === 0) await caughtUp(tracer, client);
      client.close();
      server.close();
      ends.push(client, server);
    }
    listener.close();
    for (const end of ends) {
      await expectConnection(tracer, end);
      expectInOrder(of(tracer, end));
    }
  });
});

describe.each(modes.filter(tracesUdp))("trace --attach %s --interval 50ms, of UDP", (mode) => {
  let tracer: Tracer;
  beforeAll(async () => {
    tracer = await startGuessed(mode, ["--interval", "50ms"]);
  });
  afterAll(async () => {
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);
  });

  const linesOf = (sock: Udp, remote: number | null): Event[] =>
    tracer.events.filter(
      (event) => event.local.port === sock.local.port && event.remote.port === remote,
    );
  /** Until each flow of the socket has a line with what the socket itself has counted. */
  const caughtUp = async (sock: Udp): Promise<void> => {
    for (const truth of sock.truths(mode)) {
      const told = (event: Event) =>
        event.event === "sample" &&
        event.bytes_sent === truth.sent &&
        event.bytes_received === truth.received &&
        event.packets_sent === truth.packetsSent &&
        event.packets_received === truth.packetsReceived;
      const what = `line with ${truth.sent} and ${truth.received} bytes`;
      await tracer.until(() => linesOf(sock, truth.remote.port).some(told), what);
    }
  };

  test("shows what a flow has moved, as often as it moves something, and its close tells no more", async () => {
    const server = new Udp("127.0.0.1");
    const client = new Udp("127.0.0.1").connect(server.local);
    for (const bytes of [7, 1009, 23]) {
      client.send(bytes);
      server.receive();
      await caughtUp(client);
      await caughtUp(server);
      server.sendTo(client.local, bytes + 1);
      client.receive();
      await caughtUp(client);
      await caughtUp(server);
    }
    const still = linesOf(client, server.local.port).length;
    const other = new Udp("127.0.0.1").connect(server.local);
    for (const bytes of [31, 37, 41]) {
      other.send(bytes);
      await caughtUp(other);
    }
    expect(linesOf(client, server.local.port)).toHaveLength(still);
    for (const sock of [client, server, other]) sock.close();
    for (const sock of [client, server, other]) {
      await expectFlows(tracer, sock);
      for (const { remote } of sock.truths(mode)) expectInOrder(linesOf(sock, remote.port));
    }
  });

  test("shows each flow of a socket for itself", async () => {
    const client = new Udp("::1");
    const servers = Array.from({ length: 5 }, () => new Udp("::1"));
    for (const bytes of [43, 47])
      for (const server of servers) {
        client.sendTo(server.local, bytes);
        await caughtUp(client);
      }
    for (const sock of [client, ...servers]) sock.close();
    await expectFlows(tracer, client);
  });
});

describe.each(modes)("sampling with %ss", (attach) => {
  test("a connection that was reset is no lost one while its socket is kept", async () => {
    await using trace = await openTrace({ attach, self: true, sampling: true, debug: false });
    const { client, server } = peer.pair();
    const seen: TracedEvent[] = [];
    const ofClient = ({ local, remote }: TracedEvent) =>
      local.port === client.truth.local.port && remote.port === client.truth.remote.port;
    const poll = (kind: TracedEvent["kind"]) =>
      peer.until(`its ${kind}`, () => {
        seen.push(...trace.poll());
        return seen.some((event) => event.kind === kind && ofClient(event));
      });
    poll("connect");
    server.abort();
    client.awaitReset();
    const lost: TracedEvent[] = [];
    for (let i = 0; i < 4; i++) {
      lost.push(...trace.sample());
      seen.push(...trace.poll());
    }
    client.close();
    poll("close");
    expect(lost.filter(ofClient)).toEqual([]);
    expect(seen.filter((event) => event.kind === "close" && ofClient(event))).toHaveLength(1);
  });
});

describe.each(modes)("trace --attach %s --final", (mode) => {
  test("tells at its end what each open connection has moved, and of none that is closed", async () => {
    const tracer = await Tracer.start(mode, ["--tcp", "--final"]);
    const [busy, still, closed] = [peer.pair(), peer.pair(), peer.pair()];
    peer.transfer(busy.client, busy.server, 1009);
    peer.transfer(busy.server, busy.client, 2003);
    for (const end of [closed.client, closed.server]) end.close();
    for (const { client, server } of [busy, still]) {
      await tracer.take("connect", client.truth);
      await tracer.until(() => of(tracer, server).length > 0, "accept");
    }
    await tracer.take("close", closed.client.truth);
    await tracer.take("close", closed.server.truth);
    expect(tracer.events.filter(({ event }) => event === "sample")).toEqual([]);
    expect(await tracer.stop()).toBe(0);
    for (const end of [busy.client, busy.server, still.client, still.server]) {
      const last = of(tracer, end).at(-1)!;
      expect(last.event).toBe("sample");
      expect(counts(last)).toEqual([end.truth.sent, end.truth.received]);
      expect(last.id).toBe(of(tracer, end)[0]!.id);
      end.close();
    }
    for (const end of [closed.client, closed.server])
      expect(of(tracer, end).at(-1)!.event).toBe("close");
    expect(tracer.stderr).toMatch(/none lost/);
  });
});
