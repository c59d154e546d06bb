/**
 * `trace` prints UDP flows. The truth: the return values of the sockets' system calls (drive/datagrams.ts). Bytes and
 * packets must equal them exactly.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr } from "../../src/kernel/sockaddr.ts";
import type { Actor } from "./drive/actors.ts";
import {
  expectFlowClosed,
  expectFlowFailed,
  expectFlowOpen,
  expectFlows,
  expectFlowsInAnyOrder,
  type FlowTruth,
  tracesUdp,
  unknown,
  Udp,
} from "./drive/datagrams.ts";
import { startGuessed } from "./drive/guessed.ts";
import { loseInFlight } from "./drive/in_flight.ts";
import { has, linuxAtLeast, type Mode, modes, sparing, withoutLengths } from "./drive/modes.ts";
import { check, families, payload, until } from "./drive/peer.ts";
import { traced, type Traced } from "./drive/traced.ts";
import { run, Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

/** The socket is told of each error: IP_RECVERR, and IPV6_RECVERR, for an IPv6 socket has datagrams of both. */
function receiveErrors(address: string, fd: number): void {
  check(libc.setsockoptInt(fd, 0, 11, 1), "IP_RECVERR");
  if (address.includes(":")) check(libc.setsockoptInt(fd, 41, 25, 1), "IPV6_RECVERR");
}

/** Of no other test, nor of another run on this host, which would take it away. */
const LINK_LOCAL = `fe80::7ac3:${(process.pid & 0xffff || 1).toString(16)}`;

/** FULL=1 adds what is too slow for an emulated guest. */
const full = process.env["FULL"] === "1";

/** On a slow machine the storm takes longer than a silent flow lives by default, and a port that comes again is a new one. */
const PATIENT = ["--udp-timeout", "900s", "--udp-stream-timeout", "900s"];

/** Before 4.7, and in RHEL 7's 3.10, no function is given how much of a datagram was copied: docs/kernels.md. */
const tellsLengths = linuxAtLeast(4, 7) && !withoutLengths;

for (const mode of modes)
  test.skipIf(tracesUdp(mode))(
    `${mode} mode says that it cannot see UDP, and traces TCP`,
    async () => {
      const { exitCode, stderr } = await run(["trace", "--attach", mode, "--duration", "1s"]);
      expect(stderr).toMatch(/UDP is not traced: .*6\.3/);
      expect(stderr).toMatch(/tracing TCP with/);
      expect(exitCode).toBe(0);
    },
  );

describe.each(modes.filter(tracesUdp))("trace --attach %s", (mode) => {
  const kprobes = mode === "kprobe";
  let older: { client: Udp; server: Udp };
  let asked: { client: Udp; server: Udp };
  let waiting: { actor: Actor; port: number };
  const prepare = async () => {
    waiting = await blockedInReceive(our, mode);
    older = { server: new Udp("127.0.0.1"), client: new Udp("127.0.0.1") };
    const server = serviceSocket();
    asked = { server, client: new Udp("127.0.0.1").connect(server.local) };
    libc.send(asked.client.fd, payload(7), 0);
  };
  const our = traced(mode, prepare, PATIENT);
  /** Closes the sockets and expects every flow of theirs. */
  const closed = async (...socks: Udp[]) => {
    for (const sock of socks) sock.close();
    for (const sock of socks) await expectFlows(our.tracer, sock);
  };

  test("the start warns of nothing but of what takes Linux 5.10", () => {
    expect(our.tracer.stderr).toMatch(/tracing TCP and UDP with/);
    const newer = "warning: application protocols of UDP are not known: it takes Linux 5.10";
    const warnings = our.tracer.stderr.match(/warning: .*/g);
    expect(warnings).toEqual(has.tracepoint ? null : [newer]);
  });

  test("between link-local addresses it has their interface", async () => {
    const change = (verb: string) =>
      Bun.spawnSync(["ip", "address", verb, `${LINK_LOCAL}/128`, "dev", "lo"]);
    expect(String(change("add").stderr)).toBe("");
    try {
      const fd = check(libc.socket(k.AF_INET6, k.SOCK_DGRAM | k.SOCK_CLOEXEC, 0), "socket");
      const name = sockaddr(LINK_LOCAL, 9);
      // The scope: the loopback device is the first of each namespace.
      new DataView(name.buffer).setUint32(24, 1, true);
      check(libc.connect(fd, name), "connect");
      check(libc.send(fd, payload(5), 0), "send");
      for (const kind of ["begin", "fail", "close"] as const) {
        const event = await our.tracer.takeIf(
          kind,
          `to ${LINK_LOCAL}`,
          ({ remote }) => remote.address === LINK_LOCAL,
        );
        expect(event.interface).toBe("lo");
        if (kind === "fail") libc.close(fd);
      }
    } finally {
      change("del");
    }
  });

  // With tracepoints the ends of sockets are looked for once a second: so these wait for theirs together.
  describe.concurrent.each(Object.entries(families))("%s", (_, address) => {
    test("requests and answers are counted at both ends, each with its direction", async () => {
      const server = new Udp(address);
      const client = new Udp(address).connect(server.local);
      for (let i = 1; i <= 31; i++) {
        client.send(17 * i);
        server.receive();
        server.sendTo(client.local, 23 * i);
        client.receive();
      }
      await closed(client, server);
    });

    test("to a port that nobody has: a failure, once, and again for another end", async () => {
      const client = new Udp(address);
      for (let i = 0; i < 2; i++) {
        const nobody = new Udp(address);
        nobody.close();
        client.connect(nobody.local);
        for (let n = 0; n < 3; n++) {
          client.send(19);
          expect(client.takeError()).toBe(k.ECONNREFUSED);
        }
      }
      client.close();
      for (const truth of client.truths(mode)) {
        const begin = await expectFlowOpen(our.tracer, truth);
        const fail = await expectFlowFailed(our.tracer, truth, "ECONNREFUSED");
        const close = await expectFlowClosed(our.tracer, truth);
        expect([fail.id, close.id]).toEqual([begin.id, begin.id]);
        expect(begin.time <= fail.time && fail.time <= close.time).toBe(true);
      }
    });

    test("to a port that nobody has, not connected: a failure if the socket asks for errors, by kprobes", async () => {
      const nobody = new Udp(address);
      nobody.close();
      const asking = new Udp(address, { prepare: (fd) => receiveErrors(address, fd) });
      const other = new Udp(address);
      for (const client of [asking, other]) client.sendTo(nobody.local, 23);
      expect(asking.takeError()).toBe(k.ECONNREFUSED);
      for (const client of [asking, other]) client.close();
      for (const client of [asking, other])
        for (const truth of client.truths(mode)) {
          await expectFlowOpen(our.tracer, truth);
          if (kprobes && client === asking)
            await expectFlowFailed(our.tracer, truth, "ECONNREFUSED");
          await expectFlowClosed(our.tracer, truth);
        }
    });

    test("1, 2, 3 and 4 datagrams at a time are ten packets", async () => {
      const server = new Udp(address);
      const client = new Udp(address).connect(server.local);
      for (const times of [1, 2, 3, 4]) {
        for (let i = 0; i < times; i++) client.send(11 + times);
        for (let i = 0; i < times; i++) server.receive();
      }
      expect(client.truths("kprobe")).toMatchObject([{ packetsSent: 10, sent: 140 }]);
      await closed(client, server);
    });

    test("a socket that is not connected has a record per destination", async () => {
      const client = new Udp(address);
      const servers = Array.from({ length: 7 }, () => new Udp(address));
      for (const [i, server] of servers.entries())
        for (let n = 0; n <= i; n++) {
          client.sendTo(server.local, 101 + i);
          server.receive();
        }
      expect(client.truths("kprobe")).toHaveLength(7);
      await closed(client, ...servers);
    });

    test("an empty datagram is a packet, and a peek is none, also of an empty one", async () => {
      const server = new Udp(address);
      const client = new Udp(address).connect(server.local);
      for (const bytes of [11, 0, 13]) client.send(bytes);
      for (let i = 0; i < 3; i++) {
        server.receive(k.MSG_PEEK);
        server.receive(k.MSG_PEEK);
        server.receive();
      }
      await closed(client, server);
    });

    test("what recv returns counts: less than the datagram, or with MSG_TRUNC all of it", async () => {
      const server = new Udp(address);
      const client = new Udp(address).connect(server.local);
      for (let i = 0; i < 3; i++) client.send(997);
      expect(server.receive(0, 100)).toBe(100);
      expect(server.receive(k.MSG_TRUNC, 100)).toBe(997);
      expect(server.receive()).toBe(997);
      // A receive that finds nothing must not be taken for the next one.
      expect(libc.recv(server.fd, new Uint8Array(53), k.MSG_DONTWAIT)).toBe(-k.EAGAIN);
      for (let i = 0; i < 2; i++) client.send(991);
      const rooms = [new Uint8Array(53), new Uint8Array(59)];
      expect(libc.recvmmsg(server.fd, rooms, 0)).toEqual([53, 59]);
      for (const bytes of [53, 59]) server.received(client.local, bytes, 1);
      await closed(client, server);
    });

    test("pieces put together by MSG_MORE and by UDP_CORK are one datagram", async () => {
      const server = new Udp(address);
      const client = new Udp(address).connect(server.local);
      client.send(19, k.MSG_MORE, 0);
      client.send(23, k.MSG_MORE, 0);
      client.send(29);
      cork(client, 1);
      for (const bytes of [31, 37, 41]) client.send(bytes, 0, 0);
      cork(client, 0);
      client.truths("kprobe")[0]!.packetsSent!++;
      expect([server.receive(), server.receive()]).toEqual([71, 109]);
      await closed(client, server);
    });

    test("a UDP_SEGMENT send is as many packets as arrive", async () => {
      const server = new Udp(address);
      const client = new Udp(address).connect(server.local);
      if (!segment(client, 100)) return; // before 4.18
      client.send(1013, 0, 11);
      for (let i = 0; i < 11; i++) server.receive();
      // Before 5.4 the kernel cuts a datagram of one segment, too, which fails after IP has taken it.
      const one = libc.send(client.fd, payload(100), 0);
      client.sent(server.local, 100, 1);
      if (one === 100) server.receive();
      else expect({ one, since54: linuxAtLeast(5, 4) }).toEqual({ one: -k.ENOMEM, since54: false });
      await closed(client, server);
    });

    test("a receive of several segments at once counts them all", async () => {
      const server = new Udp(address);
      if (libc.setsockoptInt(server.fd, k.SOL_UDP, k.UDP_GRO, 1) < 0) return; // before 5.0
      const client = new Udp(address).connect(server.local);
      expect(segment(client, 100)).toBe(true);
      client.send(1013, 0, 11);
      // Before 5.12 loopback takes them apart all the same.
      for (let left = 1013; left > 0;) {
        const bytes = server.receive(0, 1 << 16, 0);
        server.received(client.local, 0, Math.ceil(bytes / 100));
        left -= bytes;
      }
      await closed(client, server);
    });

    test("sendmmsg and recvmmsg count each datagram", async () => {
      const server = new Udp(address);
      const client = new Udp(address).connect(server.local);
      const sizes = [3, 5, 7, 11, 13, 17, 19];
      const sent = libc.sendmmsg(client.fd, sizes.map(payload), 0);
      expect(sent).toBe(sizes.length);
      for (const size of sizes) client.sent(server.local, size, 1);
      const rooms = sizes.map(() => new Uint8Array(64));
      const lengths = libc.recvmmsg(server.fd, rooms, 0);
      expect(lengths).toEqual(sizes);
      for (const size of sizes) server.received(client.local, size, 1);
      await closed(client, server);
    });

    test("a send that names another end than the peer is that end's, the next one the peer's", async () => {
      const [peer, other] = [new Udp(address), new Udp(address)];
      const client = new Udp(address).connect(peer.local);
      for (const bytes of [2003, 2011]) {
        client.sendTo(other.local, bytes);
        other.receive();
        client.send(5);
        peer.receive();
        other.sendTo(client.local, 1);
      }
      expect(client.truths(mode)).toMatchObject([{ sent: 4014 }, { sent: 10 }]);
      await closed(client, peer, other);
    });

    test.serial(
      "pieces of a datagram that names its end but once are that end's, or nobody's",
      async () => {
        const [peer, other] = [new Udp(address), new Udp(address)];
        const client = new Udp(address).connect(peer.local);
        const free = new Udp(address);
        client.sendTo(other.local, 211, k.MSG_MORE, 0);
        // Tracepoints do not see whether this adds to the datagram or begins another one.
        client.sendUnnamed(kprobes ? other.local : unknown, 13);
        expect(other.receive()).toBe(224);
        // An IPv4 socket has forgotten its peer by this. The next datagram's own header tells, and its receiver.
        check(libc.send(client.fd, payload(17), 0), "send");
        const taker = [peer, other].find(({ fd }) => libc.readable(fd, 0))!;
        taker.receive();
        client.sent(kprobes || address !== "127.0.0.1" ? taker.local : unknown, 17, 1);
        free.sendTo(other.local, 223, k.MSG_MORE, 0);
        free.sendUnnamed(other.local, 19, k.MSG_MORE, 0);
        free.sendTo(peer.local, 23, 0, 1, other.local);
        expect(other.receive()).toBe(265);
        await closed(client, free, peer, other);
      },
    );

    test("a send to the address of all goes to loopback", async () => {
      // Before 4.10 a socket with an IPv4 address sends to ::1 what is for `::`, and nobody gets it.
      const mapped = address === families["IPv4 through an IPv6 socket"];
      const ofIpv4 = !address.includes(":") || (mapped && !linuxAtLeast(4, 10));
      const all = ofIpv4 ? "0.0.0.0" : "::";
      const server = new Udp(address);
      const client = new Udp(address);
      client.sendTo({ address: all, port: server.local.port }, 229, 0, 1, server.local);
      server.receive();
      await closed(client, server);
    });

    test("a receive that does not ask who sent has the peer, or nobody", async () => {
      const server = new Udp(address);
      const client = new Udp(address).connect(server.local);
      client.send(233);
      server.receiveUnnamed(kprobes ? client.local : unknown);
      server.connect(client.local);
      client.send(239);
      server.receiveUnnamed(client.local);
      await closed(client, server);
    });

    test("a send that fails leaves its name to no other", async () => {
      const peer = new Udp(address);
      const client = new Udp(address).connect(peer.local);
      const gone = new Udp(address);
      gone.close();
      const nobody = sockaddr(address, gone.local.port);
      // Too long for a datagram by less than its header: refused after its name was seen.
      expect(libc.sendto(client.fd, payload(65_530), 0, nobody)).toBe(-k.EMSGSIZE);
      client.send(241);
      peer.receive();
      await closed(client, peer);
    });

    test("sendfile is counted as its receiver counts it", async () => {
      const server = new Udp(address);
      const client = new Udp(address).connect(server.local);
      const file = `/tmp/udp-sendfile-${process.pid}`;
      writeFileSync(file, payload(30_011));
      const from = check(libc.open(file, 0), "open");
      const moved = check(libc.sendfile(client.fd, from, null, 30_011), "sendfile");
      expect(moved).toBe(30_011);
      libc.close(from);
      rmSync(file);
      for (let left = moved; left > 0;) left -= server.receive();
      const { received, packetsReceived } = server.truths("kprobe")[0]!;
      client.sent(server.local, received, packetsReceived!);
      await closed(client, server);
    });
  });

  test("an IPv4 datagram of an IPv6 socket is IPv4", async () => {
    const server = new Udp("127.0.0.1");
    // The socket is bound to all addresses, and tracepoints do not see the one that the kernel chose.
    const client = new Udp("::", { local: kprobes ? "127.0.0.1" : unknown.address });
    const bound = { ...client.local, address: "127.0.0.1" };
    client.sendTo(server.local, 43);
    server.receive();
    server.sendTo(bound, 47);
    client.receive();
    await closed(client, server);
  });

  test.each([families.IPv4, families.IPv6])(
    "sockets that share a port of %s by SO_REUSEPORT are told apart by what each received",
    async (address) => {
      const prepare = (fd: number) =>
        check(libc.setsockoptInt(fd, k.SOL_SOCKET, k.SO_REUSEPORT, 1), "SO_REUSEPORT");
      const first = new Udp(address, { prepare });
      const servers = [first];
      for (let i = 0; i < 3; i++)
        servers.push(new Udp(address, { prepare, port: first.local.port }));
      const clients = Array.from({ length: 23 }, () => new Udp(address).connect(first.local));
      for (const [i, client] of clients.entries()) {
        for (let n = 0; n < 3; n++) client.send(53 + i);
        const server = servers.find(({ fd }) => libc.readable(fd, 0))!;
        for (let n = 0; n < 3; n++) server.receive();
      }
      await closed(...clients, ...servers);
    },
  );

  test("a multicast datagram is one packet sent, and one received by each member", async () => {
    const group = { address: "239.7.11.13", port: 0 };
    const join = (fd: number) => {
      libc.setsockoptInt(fd, k.SOL_SOCKET, k.SO_REUSEADDR, 1);
      const request = new Uint8Array([239, 7, 11, 13, 127, 0, 0, 1]);
      check(libc.setsockopt(fd, k.IPPROTO_IP, k.IP_ADD_MEMBERSHIP, request), "membership");
    };
    const members = [new Udp(group.address, { prepare: join })];
    group.port = members[0]!.local.port;
    members.push(new Udp(group.address, { prepare: join, port: group.port }));
    const sender = new Udp("127.0.0.1");
    const lo = new Uint8Array([127, 0, 0, 1]);
    check(libc.setsockopt(sender.fd, k.IPPROTO_IP, k.IP_MULTICAST_IF, lo), "interface");
    for (const bytes of [59, 61, 67]) {
      sender.sendTo(group, bytes);
      for (const member of members) member.receive();
    }
    sender.close();
    await expectFlows(our.tracer, sender);
    for (const member of members) member.close();
    await expectFlowsInAnyOrder(
      our.tracer,
      members.flatMap((member) => member.truths(mode)),
    );
  });

  test("a broadcast datagram arrives at the address it was sent to", async () => {
    const everybody = "127.255.255.255";
    const server = new Udp("0.0.0.0", { local: kprobes ? everybody : unknown.address });
    const client = new Udp("127.0.0.1");
    check(libc.setsockoptInt(client.fd, k.SOL_SOCKET, k.SO_BROADCAST, 1), "SO_BROADCAST");
    for (const bytes of [71, 73]) {
      client.sendTo({ address: everybody, port: server.local.port }, bytes);
      server.receive();
    }
    await closed(client, server);
  });

  test("sockets that were bound before the trace began", async () => {
    const { client, server } = older;
    client.sendTo(server.local, 79);
    server.receive();
    server.sendTo(client.local, 83);
    client.receive();
    await closed(client, server);
  });

  test("a flow caught in its middle has the direction of its beginning", async () => {
    const { client, server } = asked;
    // The request came before the trace; the first that is seen is its answer.
    server.connect(client.local);
    server.send(97);
    client.receive();
    for (const [sock, direction] of [
      [client, "outgoing"],
      [server, "incoming"],
    ] as const)
      for (const truth of sock.flows.values()) truth.direction = direction;
    await closed(client, server);
  });

  test("of a receive that began before the trace the bytes are right, or unknown where they must be", async () => {
    const client = new Udp("127.0.0.1").connect({ address: "127.0.0.1", port: waiting.port });
    for (let i = 0; i < 2; i++) client.send(211);
    const truth = await waiting.actor.hear<FlowTruth>();
    // Both were cut short.
    expect(truth.received).toBe(2 * 100);
    const received = kprobes && !tellsLengths ? null : truth.received;
    await expectFlows(our.tracer, { ...truth, received });
    await closed(client);
  });

  test("a socket connected to one end and then to another has a record of each", async () => {
    const servers = [new Udp("127.0.0.1"), new Udp("127.0.0.1")] as const;
    const client = new Udp("127.0.0.1");
    for (const server of servers) {
      client.connect(server.local);
      client.send(89);
      server.receive();
    }
    await closed(client, ...servers);
  });

  test("a socket that a child shares is one record, its owner the first to use it", async () => {
    const server = new Udp("127.0.0.1");
    const parent = our.actor("datagrams-with-child", server.local.port, 97);
    const truth = await parent.hear<FlowTruth>();
    for (let i = 0; i < 2; i++) server.receive();
    const { code } = await parent.hear<{ code: number }>();
    expect(code).toBe(0);
    parent.go();
    await expectFlows(our.tracer, asShown(truth));
    await closed(server);
  });

  test("a process that exits with its socket open closes it", async () => {
    const server = new Udp("127.0.0.1");
    const client = our.actor("datagram-and-exit", server.local.port, 101);
    const truth = await client.hear<FlowTruth>();
    server.receive();
    await expectFlows(our.tracer, asShown(truth));
    await closed(server);
  });

  test("a socket that the kernel closes, lost in flight, is its process's", async () => {
    const server = new Udp("127.0.0.1");
    const client = new Udp("127.0.0.1").connect(server.local);
    client.send(109);
    server.receive();
    loseInFlight([client.fd, server.fd]);
    for (const sock of [client, server]) await expectFlows(our.tracer, sock);
  });

  test("the same ports in another network namespace are another flow", async () => {
    const server = new Udp("127.0.0.1");
    const client = new Udp("127.0.0.1").connect(server.local);
    client.send(103);
    server.receive();
    const twin = our.actor("datagram-in-netns", mode, server.local.port, client.local.port, 107);
    for (const truth of await twin.hear<FlowTruth[]>())
      await expectFlows(our.tracer, asShown(truth));
    await closed(client, server);
  });

  test("many sockets, each used once, are all shown", async () => {
    const flows = full ? 100_003 : sparing ? 503 : 2_003;
    const before = our.tracer.events.length;
    const storm = our.actor("datagram-storm", flows);
    const { port, sent, ends } = await storm.hear<{ port: number; sent: number; ends: number }>();
    const of = (side: "local" | "remote", kind: "begin" | "close") =>
      our.tracer.unclaimed(
        ({ event, pid, ...ends }) =>
          event === kind && pid === storm.pid && ends[side].port === port,
      );
    const sides = [
      ["remote", flows, "bytes_sent"],
      // Ports are used again.
      ["local", ends, "bytes_received"],
    ] as const;
    // To look through all of them at each line takes minutes in an emulated guest.
    const mayBeAll = () => our.tracer.events.length - before >= 2 * (flows + ends);
    for (const [side, records, counter] of sides) {
      await our.tracer.until(
        () => mayBeAll() && of(side, "close").length >= records,
        `${records} closes`,
      );
      const closes = of(side, "close");
      expect([closes.length, of(side, "begin").length]).toEqual([records, records]);
      expect(closes.reduce((sum, event) => sum + event[counter]!, 0)).toBe(sent);
      for (const { event, local, remote, netns } of [...of(side, "begin"), ...closes])
        await our.tracer.take(event, { local, remote, netns: netns! });
    }
  });

  function asShown(truth: FlowTruth): FlowTruth {
    return kprobes ? truth : { ...truth, packetsSent: null, packetsReceived: null };
  }
});

test.skipIf(!modes.includes("tracepoint") || !tracesUdp("tracepoint"))(
  "tracepoint mode without socket hooks says so once, and shows no remote end that may be wrong",
  async () => {
    const without = ["env", "TRACER_BPF_WITHOUT=socket_hooks"];
    const tracer = await startGuessed("tracepoint", [], without);
    const [peer, other] = [new Udp("127.0.0.1"), new Udp("127.0.0.1")];
    const client = new Udp("127.0.0.1").connect(peer.local);
    client.sendTo(other.local, 251, 0, 1, unknown);
    client.sendUnnamed(unknown, 13);
    peer.sendTo(client.local, 257, 0, 1, unknown);
    for (const socket of [peer, other]) socket.receiveUnnamed(unknown);
    client.receiveUnnamed(peer.local);
    const socks = [client, peer, other];
    for (const socket of socks) socket.close();
    for (const socket of socks) await expectFlows(tracer, socket);
    expect(client.truths("tracepoint")).toMatchObject([{ remote: unknown }, { received: 257 }]);
    // The remote end of a datagram that has drawn an error is not known either.
    for (const what of ["the remote end of what is sent", "datagrams that draw an error"])
      expect(tracer.stderr.match(new RegExp(`warning: UDP: ${what} .*`, "g"))).toHaveLength(1);
    expect(tracer.stderr.match(/warning: UDP: .*/g)).toHaveLength(2);
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);
  },
);

describe.each(modes.filter(tracesUdp))("trace --attach %s --udp-timeout 2s", (mode) => {
  let tracer: Tracer;
  beforeAll(async () => {
    const times = ["--udp-timeout", "2s", "--udp-stream-timeout", "6s"];
    tracer = await startGuessed(mode, times);
  });
  afterAll(async () => {
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).toMatch(/none lost/);
  });

  test("a silent flow ends, one heard from both ends later, and what comes then is a new record", async () => {
    const server = new Udp("127.0.0.1");
    const oneWay = new Udp("127.0.0.1").connect(server.local);
    oneWay.send(109);
    server.receive();
    const bothWays = exchanged(server);
    const [first] = oneWay.truths(mode);
    const [second] = bothWays.truths(mode);
    const silent = await expectFlows(tracer, first!);
    expect(secondsSinceBegin(tracer, first!, silent[0]!)).toBeGreaterThanOrEqual(2);
    const assured = await expectFlows(tracer, second!);
    expect(secondsSinceBegin(tracer, second!, assured[0]!)).toBeGreaterThanOrEqual(6);

    oneWay.send(131);
    const woken = { ...first!, sent: 131, packetsSent: mode === "kprobe" ? 1 : null };
    await expectFlowOpen(tracer, woken);
    for (const socket of [oneWay, bothWays, server]) socket.close();
    const rest = await expectFlowClosed(tracer, woken);
    expect(rest.duration_us).toBeNull();
  });

  /** Two exchanges with the server. A machine that stands still in between ends the flow before: then a socket of its own tries. */
  function exchanged(server: Udp): Udp {
    for (;;) {
      const client = new Udp("127.0.0.1").connect(server.local);
      const begun = performance.now();
      for (let i = 0; i < 2; i++) {
        client.send(113);
        server.receive();
        server.sendTo(client.local, 127);
        client.receive();
      }
      if (performance.now() - begun < 1000) return client;
      client.close();
    }
  }

  test("the other flows of a socket end while it lives", async () => {
    const sender = new Udp("127.0.0.1");
    const servers = Array.from({ length: 5 }, () => new Udp("127.0.0.1"));
    for (const server of servers) sender.sendTo(server.local, 137);
    for (const truth of sender.truths(mode)) await expectFlows(tracer, truth);
    for (const socket of [sender, ...servers]) socket.close();
  });
});

// --- internal ---

function cork({ fd }: Udp, on: 0 | 1): void {
  check(libc.setsockoptInt(fd, k.SOL_UDP, k.UDP_CORK, on), "UDP_CORK");
}

/** False where the kernel has no UDP_SEGMENT. */
function segment({ fd }: Udp, size: number): boolean {
  return libc.setsockoptInt(fd, k.SOL_UDP, k.UDP_SEGMENT, size) === 0;
}

/** A process that has begun to receive. */
async function blockedInReceive(our: Traced, mode: Mode): Promise<{ actor: Actor; port: number }> {
  const actor = our.actor("block-in-receive", mode, 100);
  const { port } = await actor.hear<{ port: number }>();
  const recvfrom = process.arch === "arm64" ? "207" : "45";
  until("recvfrom(2)", () =>
    readFileSync(`/proc/${actor.pid}/syscall`, "latin1").startsWith(`${recvfrom} `),
  );
  return { actor, port };
}

function secondsSinceBegin(tracer: Tracer, { local }: FlowTruth, close: { time: string }): number {
  const open = tracer.events.find((e) => e.event === "begin" && e.local.port === local.port)!;
  return (Date.parse(close.time) - Date.parse(open.time)) / 1000;
}

/** On a port below the ephemeral ones, as servers have it. */
function serviceSocket(): Udp {
  for (let port = 20_011; ; port += 13) {
    try {
      return new Udp("127.0.0.1", { port });
    } catch (error) {
      if (port > 30_000) throw error;
    }
  }
}
