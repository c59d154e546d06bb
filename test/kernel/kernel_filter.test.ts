/**
 * The kernel's share of the filters: what certainly does not match never reaches user space, what matches is all there. The
 * events are counted where the programs have written them.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr } from "../../src/kernel/sockaddr.ts";
import { portTest } from "../../src/conn/ports.ts";
import { NO_FILTER, type KernelFilter } from "../../src/trace/kernel_filter.ts";
import type { Trace } from "../../src/trace/trace.ts";
import { openTrace } from "../../src/trace/tracer.ts";
import { ConnDirection, ConnMetadata, EventKind, type Event } from "../../src/record/layout.gen.ts";
import { Actor, actorPath } from "./drive/actors.ts";
import { Attempt, refusing } from "./drive/attempt.ts";
import { tracesUdp, Udp } from "./drive/datagrams.ts";
import { modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { Wire } from "./drive/wire.ts";

setDefaultTimeout(180_000);

const ASKED = 31;
const OTHERS = 53;

const wire = (mode: (typeof modes)[number], filter: Partial<KernelFilter>) =>
  new Wire(mode, { ...NO_FILTER, ...filter });

/** Ends at once on both sides, without a FIN that would have to be waited for. */
function connections(count: number, address: string, listener: peer.Listener): void {
  for (let i = 0; i < count; i++) {
    const client = peer.dial(address, listener.port);
    const server = listener.accept();
    client.abort();
    server.awaitReset();
    server.close();
  }
}

const isTcp = ({ ends }: Event) => (ends.metadata & ConnMetadata.METADATA_TCP) !== 0;
const local = (port: number) => (event: Event) => event.ends.sport === port;
const remote = (port: number) => (event: Event) => event.ends.dport === port;
const touches = (port: number) => (event: Event) => local(port)(event) || remote(port)(event);
const isIncoming = ({ direction }: Event) => direction === ConnDirection.DIRECTION_INCOMING;
const ofPid = (pid: number) => (event: Event) => event.owner.pid === pid;

function counts(events: Event[]) {
  const of = (...kinds: number[]) => events.filter(({ kind }) => kinds.includes(kind)).length;
  return {
    connects: of(EventKind.EVENT_CONNECT),
    accepts: of(EventKind.EVENT_ACCEPT, EventKind.EVENT_PASSIVE),
    closes: of(EventKind.EVENT_CLOSE),
    others: of(EventKind.EVENT_FAIL, EventKind.EVENT_OPEN, EventKind.EVENT_SAMPLE),
  };
}

/** The events of so many connections, if these of their ends are traced. */
const ends = (count: number, clients: boolean, servers: boolean) => ({
  connects: clients ? count : 0,
  accepts: servers ? count : 0,
  closes: (clients ? count : 0) + (servers ? count : 0),
  others: 0,
});

interface Ports {
  asked: number;
  other: number;
}
type Row = [name: string, filter: (ports: Ports) => Partial<KernelFilter>, boolean, boolean];

/** A filter, and the ends that match it of a connection to the port that is asked for: user space decides the same. */
const rows = (
  [
    ["a port at either end", ({ asked }) => ({ ports: [1, asked] })],
    ["a local port", ({ asked }) => ({ localPorts: [asked, 2] })],
    ["a remote port", ({ asked }) => ({ remotePorts: [asked] })],
    ["two kinds at once", ({ asked, other }) => ({ ports: [asked, other], remotePorts: [asked] })],
  ] satisfies [string, Row[1]][]
).map(([name, filter]): Row => {
  const meets = portTest({ ...NO_FILTER, ...filter({ asked: 443, other: 80 }) })!;
  return [name, filter, meets(40_000, 443) === true, meets(443, 40_000) === true];
});

/** One datagram there from each of so many sockets, which all stay open. */
const senders = (count: number, server: Udp): Udp[] =>
  Array.from({ length: count }, () => {
    const client = new Udp("127.0.0.1").connect(server.local);
    client.send(11);
    server.receive();
    return client;
  });

describe.each(modes)("%s", (mode) => {
  // One trace for each row: the ports are the same for all that it is asked for, and nobody else has them.
  describe.each(rows)("only with %s", (_, filter, clients, servers) => {
    let asked: peer.Listener;
    let other: peer.Listener;
    let on: Wire;
    beforeAll(() => {
      [asked, other] = [new peer.Listener("127.0.0.1"), new peer.Listener("127.0.0.1")];
      on = wire(mode, filter({ asked: asked.port, other: other.port }));
    });
    afterAll(() => {
      on[Symbol.dispose]();
      for (const listener of [asked, other]) listener.close();
    });

    test(`of ${ASKED} and ${OTHERS} connections those are told`, () => {
      connections(OTHERS, "127.0.0.1", other);
      connections(ASKED, "127.0.0.1", asked);
      const all = ends(ASKED, clients, servers);
      const told = on.await(all.connects + all.accepts + all.closes, touches(asked.port));
      expect(counts(told)).toEqual(all);
      expect(on.events.filter(touches(other.port))).toEqual([]);
      expect(on.losses()).toEqual(on.losses().map(() => 0n));
    });

    test("other open connections take no room in the kernel", () => {
      const open = [...Array<peer.Listener>(11).fill(other), ...Array<peer.Listener>(7).fill(asked)]
        .map((listener) => [peer.dial("127.0.0.1", listener.port), listener.accept()])
        .flat();
      expect(on.entries("conns")).toBe(7 * (Number(clients) + Number(servers)));
      for (const end of open) end.abort();
    });

    test.skipIf(!tracesUdp(mode))("of UDP those flows are told", () => {
      // The filter of ports is one for both protocols.
      const at = ({ port }: peer.Listener) => new Udp("127.0.0.1", { port });
      const receivers = { asked: at(asked), other: at(other) };
      const open = [...senders(OTHERS, receivers.other), ...senders(ASKED, receivers.asked)];
      const flows = (of: (event: Event) => boolean) => (event: Event) => !isTcp(event) && of(event);
      const sockets = clients ? ASKED : 0;
      expect(on.await(sockets, flows(remote(asked.port))).length).toBe(sockets);
      expect(on.events.filter(flows(remote(other.port)))).toEqual([]);
      if (servers) expect(on.events.filter(flows(local(asked.port))).length).toBe(ASKED);
      for (const client of open) client.close();
      if (clients) expect(on.await(2 * ASKED, flows(remote(asked.port))).length).toBe(2 * ASKED);
      for (const receiver of Object.values(receivers)) receiver.close();
    });
  });

  test.each([4, 6] as const)("only connections over IPv%d are told", (family) => {
    const on6 = new peer.Listener("::1");
    const on4 = new peer.Listener("127.0.0.1");
    const mapped = new peer.Listener("::ffff:127.0.0.1");
    using on = wire(mode, { families: [family] });
    const asked = family === 6 ? [on6] : [on4, mapped];
    const others = family === 6 ? [on4, mapped] : [on6];
    for (const listener of others) connections(OTHERS, listener.address, listener);
    for (const listener of asked) connections(ASKED, listener.address, listener);
    for (const { port } of asked)
      expect(counts(on.await(4 * ASKED, touches(port)))).toEqual(ends(ASKED, true, true));
    for (const { port } of others) expect(on.events.filter(touches(port))).toEqual([]);
    for (const listener of [on6, on4, mapped]) listener.close();
  });

  test("of a process that is not asked for nothing is told, but in tracepoint mode the accepts, whose process is not known", async () => {
    const storm = new Actor("storm-on-go", OTHERS);
    await storm.hear();
    const listener = new peer.Listener("127.0.0.1");
    using on = wire(mode, { pids: [process.pid] });
    storm.go();
    const [other] = await storm.hear<peer.Truth[]>();
    connections(ASKED, "127.0.0.1", listener);
    expect(counts(on.await(4 * ASKED, touches(listener.port)))).toEqual(ends(ASKED, true, true));
    const told = on.events.filter(touches(other!.remote.port));
    expect(told.filter((event) => !isIncoming(event))).toEqual([]);
    expect(told.filter(isIncoming).length > 0).toBe(mode === "tracepoint");
    listener.close();
    await storm.end();
  });

  test("of the process that is asked for everything is told, and with a port only what has both", async () => {
    const [one, two] = [new Actor("storm-on-go", ASKED), new Actor("storm-on-go", ASKED)];
    await Promise.all([one.hear(), two.hear()]);
    const listener = new peer.Listener("127.0.0.1");
    using on = wire(mode, { pids: [one.pid, two.pid] });
    using none = wire(mode, { pids: [one.pid, two.pid], remotePorts: [listener.port] });
    connections(OTHERS, "127.0.0.1", listener);
    for (const actor of [one, two]) {
      actor.go();
      const [client] = await actor.hear<peer.Truth[]>();
      const told = on.await(4 * ASKED, touches(client!.remote.port));
      expect(counts(told)).toEqual(ends(ASKED, true, true));
      await actor.end();
    }
    const ours = on.events.filter(ofPid(process.pid));
    expect(ours.filter((event) => mode === "kprobe" || !isIncoming(event))).toEqual([]);
    expect(on.events.filter(remote(listener.port))).toEqual([]);
    expect(none.await(0, () => true).filter(isTcp)).toEqual([]);
    listener.close();
  });

  test("a connection of one process that another one closes is still that of the first", async () => {
    const listener = new peer.Listener("127.0.0.1");
    using on = wire(mode, { pids: [1], remotePorts: [listener.port] });
    const client = peer.dial("127.0.0.1", listener.port);
    const server = listener.accept();
    const child = Bun.spawn([process.execPath, actorPath, "write-inherited", "11"], {
      stdio: ["pipe", "inherit", "inherit", client.fd],
      env: { ...process.env, BUN_BE_BUN: "1" },
    });
    client.close();
    on.askFor(child.pid, 1);
    void child.stdin.write("go\n");
    void child.stdin.end();
    expect(await child.exited).toBe(0);
    server.read(11);
    server.readToEnd();
    server.close();
    expect(on.await(0, remote(listener.port))).toEqual([]);
    listener.close();
  });

  test("failed connects are told of the port that is asked for only", () => {
    using asked = refusing("127.0.0.1");
    using other = refusing("127.0.0.1");
    using on = wire(mode, { remotePorts: [asked.port] });
    using locally = wire(mode, { localPorts: [asked.port] });
    const refused = (port: number, bound: boolean) => {
      const fd = bound
        ? new Attempt("127.0.0.1", port).fd
        : peer.check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
      expect(libc.connect(fd, sockaddr("127.0.0.1", port))).toBe(-k.ECONNREFUSED);
      libc.close(fd);
    };
    for (let i = 0; i < OTHERS; i++) refused(other.port, i % 2 === 0);
    for (let i = 0; i < ASKED; i++) refused(asked.port, i % 2 === 0);
    const told = on.await(ASKED, remote(asked.port));
    expect(told.map(({ kind }) => kind)).toEqual(told.map(() => EventKind.EVENT_FAIL));
    expect(told.length).toBe(ASKED);
    expect(on.events.filter(remote(other.port))).toEqual([]);
    expect(on.entries("conns")).toBe(0);
    expect(locally.await(0, isTcp)).toEqual([]);
    expect(locally.entries("conns")).toBe(0);
  });

  test("a socket that is used again is not taken for one with its former local port", () => {
    const listener = new peer.Listener("127.0.0.1");
    using nobody = refusing("127.0.0.1");
    const fd = peer.check(libc.socket(k.AF_INET, k.SOCK_STREAM, 0), "socket");
    expect(libc.connect(fd, sockaddr("127.0.0.1", nobody.port))).toBe(-k.ECONNREFUSED);
    const former = peer.nameOf(libc.getsockname, fd).port;
    expect(former).toBeGreaterThan(0);
    const localPorts = Array.from({ length: 65_536 }, (_, port) => port);
    using on = wire(mode, { localPorts: localPorts.filter((port) => port && port !== former) });
    peer.check(libc.connect(fd, sockaddr("127.0.0.1", listener.port)), "connect");
    const client = new peer.Peer(fd, "connect");
    const server = listener.accept();
    expect(client.truth.local.port).not.toBe(former);
    client.abort();
    server.awaitReset();
    server.close();
    const told = on.await(4, touches(listener.port));
    expect(counts(told)).toEqual(ends(1, true, true));
    // Had it been left out at first, its process would not be known.
    expect(told.filter(remote(listener.port)).every(ofPid(process.pid))).toBe(true);
    listener.close();
  });

  test.skipIf(mode === "tracepoint")(
    "a connect that failed before it had a local port passes a filter of local ports",
    async () => {
      using on = wire(mode, { localPorts: [1] });
      const actor = new Actor("no-route");
      const { pid } = await actor.hear<{ pid: number }>();
      const told = on.await(3, ofPid(pid));
      expect(new Set(told.map(({ ends }) => ends.dport))).toEqual(new Set([7001, 7002, 7003]));
      await actor.end();
    },
  );

  test("without TCP no connection is told", () => {
    const listener = new peer.Listener("127.0.0.1");
    using on = wire(mode, { protocols: ["udp"] });
    const open = [peer.dial("127.0.0.1", listener.port), listener.accept()];
    connections(OTHERS, "127.0.0.1", listener);
    expect(on.await(0, () => true).filter(isTcp)).toEqual([]);
    expect(on.entries("conns")).toBe(0);
    for (const end of [...open, listener]) end.close();
  });

  describe.skipIf(!tracesUdp(mode))("UDP", () => {
    let servers: Udp[];
    beforeAll(() => {
      servers = [new Udp("127.0.0.1"), new Udp("127.0.0.1")];
    });
    afterAll(() => {
      for (const server of servers) server.close();
    });

    test("of a process that is not asked for no flow is told or kept", async () => {
      const [asked] = servers as [Udp];
      using on = wire(mode, { pids: [process.pid] });
      const storm = new Actor("datagram-storm", OTHERS);
      const { port } = await storm.hear<{ port: number }>();
      const open = senders(ASKED, asked);
      expect(on.await(ASKED, remote(asked.local.port)).length).toBe(ASKED);
      expect(on.events.filter(({ ends }) => ends.sport === port || ends.dport === port)).toEqual(
        [],
      );
      expect(on.entries("udp_socks")).toBe(ASKED + 1);
      for (const client of open) client.close();
      await storm.end();
    });

    test("without UDP it is not attached", () => {
      using on = wire(mode, { protocols: ["tcp"] });
      for (const client of senders(ASKED, servers[0]!)) client.close();
      expect(on.await(0, () => true).filter((event) => !isTcp(event))).toEqual([]);
      expect(on.entries("udp_socks")).toBe(0);
    });
  });

  describe("a whole trace", () => {
    const open = (filter: Partial<KernelFilter>) =>
      openTrace({
        attach: mode,
        debug: false,
        self: true,
        sampling: true,
        filter: { ...NO_FILTER, ...filter },
      });
    const shown = (trace: Trace, port: number, kinds: string[]) => {
      const events: string[] = [];
      peer.until(kinds.join(), () => {
        trace.sample();
        const polled = trace.poll();
        expect(polled.filter(({ remote: { port: to } }) => to !== port)).toEqual([]);
        events.push(...polled.map(({ kind }) => kind));
        return kinds.every((kind) => events.includes(kind));
      });
      return events;
    };

    test("tells of older and of new connections, open and closed, those that match", async () => {
      const [asked, other] = [new peer.Listener("127.0.0.1"), new peer.Listener("127.0.0.1")];
      const older = [other, asked].map((listener) => {
        const client = peer.dial("127.0.0.1", listener.port);
        return { client, server: listener.accept() };
      });
      await using trace = await open({ remotePorts: [asked.port], protocols: ["tcp"] });
      expect(trace.description).toStartWith(`tracing TCP with ${mode}s`);
      expect(trace.notes.filter((note) => /UDP/.test(note))).toEqual([]);
      for (const { client, server } of older) peer.transfer(client, server, 11);
      shown(trace, asked.port, ["open"]);
      // Older ones are listed while the trace runs.
      const kept = trace.maps().find(({ name }) => name === "conns")!.entries;
      for (const { client, server } of older) {
        client.abort();
        server.awaitReset();
        server.close();
      }
      shown(trace, asked.port, ["close"]);
      connections(ASKED, "127.0.0.1", other);
      connections(1, "127.0.0.1", asked);
      expect(shown(trace, asked.port, ["connect", "close"])).toEqual(["connect", "close"]);
      expect(trace.losses().filter(({ count }) => count > 0n)).toEqual([]);
      expect(kept - trace.maps().find(({ name }) => name === "conns")!.entries).toBe(1);
      for (const listener of [asked, other]) listener.close();
    });

    test.skipIf(!tracesUdp(mode))("of UDP alone says so, and shows no TCP", async () => {
      await using trace = await open({ protocols: ["udp"] });
      expect(trace.description).toStartWith(`tracing UDP with ${mode}s`);
      const listener = new peer.Listener("127.0.0.1");
      connections(ASKED, "127.0.0.1", listener);
      const [server, client] = [new Udp("127.0.0.1"), new Udp("127.0.0.1")];
      client.connect(server.local).send(11);
      const events = peer.until("its flow", () => {
        const polled = trace.poll();
        expect(polled.filter(({ protocol }) => protocol === "tcp")).toEqual([]);
        return polled.some((event) => event.remote.port === server.local.port);
      });
      expect(events).toBe(true);
      for (const end of [server, client, listener]) end.close();
    });

    test.skipIf(tracesUdp(mode))("of UDP alone is refused where there is none", async () => {
      const error = await open({ protocols: ["udp"] }).then(
        () => null,
        (error: unknown) => error,
      );
      expect(String(error)).toContain("UDP: not available on this host");
    });
  });
});
