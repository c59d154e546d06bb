/**
 * The first bytes of UDP flows reach the recogniser as they were sent, from both ends, whatever call sends or receives them;
 * and flows are named by them. The truth: the bytes that the test itself sends.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { randomLoopback } from "../../src/guess/loopback.ts";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr } from "../../src/kernel/sockaddr.ts";
import type { Look } from "../../src/protocols/recognition.ts";
import { DatagramSize, GateSize } from "../../src/record/layout.gen.ts";
import { PARTS } from "../../src/trace/parts.ts";
import { flowProtocolsBy } from "../../src/trace/protocols/flows_part.ts";
import type { Trace } from "../../src/trace/trace.ts";
import { openTrace } from "../../src/trace/tracer.ts";
import { tracesUdp } from "./drive/datagrams.ts";
import { asBefore510, modes } from "./drive/modes.ts";
import { awaitReadable, check, families, until } from "./drive/peer.ts";

setDefaultTimeout(180_000);

const NAME = "application protocols of UDP";
const { DATAGRAM_BYTES, DATAGRAM_MORE, FLOW_LOOKS } = DatagramSize;

/** Keeps all looks of one flow, and names it on its events. */
class Recorder {
  readonly looks: (Omit<Look, "bytes"> & { bytes: string })[] = [];
  readonly application = null;
  readonly outcome = "unrecognised";
  see({ bytes, ...look }: Look): boolean {
    this.looks.push({ ...look, bytes: textOf(bytes) });
    return false;
  }
  describe(shown: TracedEvent): void {
    (shown as Described).recorder = this;
  }
}

type Described = TracedEvent & { recorder?: Recorder };

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const label = (text: string): string => String.fromCharCode(text.length) + text;
/** A message of DNS with one question, for an address. */
const message = (flags: string, name: string): string =>
  `\x12\x34${flags}\0\x01\0\0\0\0\0\0${name.split(".").map(label).join("")}\0\0\x01\0\x01`;
const question = (name: string): string => message("\x01\0", name);
/** No such name. */
const answer = (name: string): string => message("\x81\x83", name);
const LONG = Array.from({ length: 4 }, (_, n) => String.fromCharCode(97 + n).repeat(60)).join(".");
const INITIAL = `\xc3\0\0\0\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\0\0\x44\x9e${"q".repeat(1182)}`;
const STRANGE = "a stranger's words, which are of no protocol that is known here";

class Socket {
  readonly fd: number;
  readonly port: number;
  readonly address: string;

  constructor(address: string, port = 0) {
    const family = address.includes(":") ? k.AF_INET6 : k.AF_INET;
    this.fd = check(libc.socket(family, k.SOCK_DGRAM | k.SOCK_CLOEXEC, 0), "socket");
    check(libc.bind(this.fd, sockaddr(address, port)), "bind");
    const name = new Uint8Array(128);
    check(libc.getsockname(this.fd, name), "name");
    this.port = new DataView(name.buffer).getUint16(2);
    this.address = address;
  }

  connect({ address, port }: Socket): this {
    check(libc.connect(this.fd, sockaddr(address, port)), "connect");
    return this;
  }

  send(text: string): void {
    expect(check(libc.send(this.fd, bytesOf(text), 0), "send")).toBe(text.length);
  }

  sendTo({ address, port }: Socket, text: string): void {
    check(libc.sendto(this.fd, bytesOf(text), 0, sockaddr(address, port)), "sendto");
  }

  /** By write(2). */
  write(text: string): void {
    expect(check(libc.write(this.fd, bytesOf(text)), "write")).toBe(text.length);
  }

  /** Several datagrams in one call. */
  sendAll(...texts: string[]): void {
    const sent = check(libc.sendmmsg(this.fd, texts.map(bytesOf), 0), "sendmmsg");
    expect(sent).toBe(texts.length);
  }

  /** Asks for the sender. */
  receive(room = 2048): string {
    awaitReadable(this.fd);
    const into = new Uint8Array(room);
    const from = new Uint8Array(128);
    return textOf(into.subarray(0, check(libc.recvfrom(this.fd, into, 0, from), "recvfrom")));
  }

  close(): void {
    libc.close(this.fd);
  }
}

const ofUdp = modes.filter((mode) => tracesUdp(mode) && !asBefore510);

describe.each(ofUdp)("trace --attach %s", (mode) => {
  let trace: Trace;
  const seen: Described[] = [];

  beforeAll(async () => {
    const parts = PARTS.filter((part) => part({ attach: mode, debug: false }).name !== NAME);
    trace = await openTrace({ attach: mode, debug: false, self: true, protocols: true }, [
      ...parts,
      flowProtocolsBy(() => new Recorder()),
    ]);
  });

  afterAll(() => trace[Symbol.asyncDispose]());

  /** A server without a peer, and a client whose peer it is. */
  function pair(address = "127.0.0.1"): [client: Socket, server: Socket] {
    const server = new Socket(address);
    return [new Socket(address).connect(server), server];
  }

  /** The looks at the flow of this socket to that one, once it has ended. */
  function looksAt(of: Socket, to: Socket) {
    of.close();
    const close = until("the close", () => {
      seen.push(...trace.poll());
      return seen.find(
        ({ kind, local, remote }) =>
          kind === "close" && local.port === of.port && remote.port === to.port,
      );
    });
    return close.recorder?.looks ?? [];
  }

  const look = (fromClient: boolean, text: string) => ({
    ...{ fromClient, offset: 0, length: text.length, bytes: text.slice(0, DATAGRAM_BYTES) },
  });

  test("nothing keeps the part from working", () => {
    expect(trace.notes.filter((note) => /application protocols/.test(note))).toEqual([]);
  });

  test.each(Object.entries(families))("%s: a question and its answer", (_, address) => {
    const [client, server] = pair(address);
    const [asked, told] = [question("www.example.com"), answer("www.example.com")];
    client.send(asked);
    expect(server.receive()).toBe(asked);
    server.sendTo(client, told);
    client.receive();
    const both = [look(true, asked), look(false, told)];
    expect(looksAt(client, server)).toEqual(both);
    expect(looksAt(server, client)).toEqual(both);
  });

  test("a datagram of 1200 bytes, of which the program takes few", () => {
    const [client, server] = pair();
    client.write(INITIAL);
    expect(server.receive(20)).toBe(INITIAL.slice(0, 20));
    expect(looksAt(client, server)).toEqual([look(true, INITIAL)]);
    const [taken] = looksAt(server, client);
    // Tracepoints see what the program took.
    if (mode === "kprobe") expect(taken).toEqual(look(true, INITIAL));
    else
      expect(taken).toEqual({
        fromClient: true,
        offset: 0,
        length: 20,
        bytes: INITIAL.slice(0, 20),
      });
  });

  test("two questions in one call", () => {
    const [client, server] = pair();
    const asked = question("a.example.com");
    client.sendAll(asked, question("bc.example.com"));
    server.receive();
    const [first] = looksAt(client, server);
    expect(first).toEqual(look(true, asked));
  });

  test("of a question with a long name more is seen, of anything else as much as a record has", () => {
    const [client, server] = pair();
    const asked = question(LONG);
    client.send(asked);
    client.send(STRANGE.repeat(5));
    const looks = looksAt(client, server);
    const ofQuestion = looks.slice(0, 1 + DATAGRAM_MORE);
    expect(ofQuestion.map(({ bytes }) => bytes).join("")).toBe(asked);
    let at = 0;
    for (const { offset, length, bytes } of ofQuestion) {
      expect({ offset, length }).toEqual({ offset: at, length: asked.length - at });
      at += bytes.length;
    }
    expect(looks.slice(1 + DATAGRAM_MORE)).toEqual([look(true, STRANGE.repeat(5))]);
    server.close();
  });

  test("of each direction so many datagrams are looked at, and none once both ends were heard", () => {
    const [client, server] = pair();
    for (let n = 0; n < 5; n++) client.send(`datagram ${n} of one end`);
    const [other, answering] = pair();
    for (let n = 0; n < 5; n++) {
      other.send(`question ${n}`);
      answering.receive();
      answering.sendTo(other, `answer ${n}`);
      other.receive();
    }
    expect(looksAt(client, server).map(({ bytes }) => bytes)).toEqual(
      Array.from({ length: FLOW_LOOKS }, (_, n) => `datagram ${n} of one end`),
    );
    expect(looksAt(other, answering).map(({ bytes }) => bytes)).toEqual([
      "question 0",
      "answer 0",
      "question 1",
    ]);
    for (const socket of [server, answering]) socket.close();
  });

  test("the flows of one socket are apart", () => {
    const [first, second, from] = [1, 2, 3].map(() => new Socket("127.0.0.1")) as [
      Socket,
      Socket,
      Socket,
    ];
    from.sendTo(first, "to the first");
    from.sendTo(second, "to the second");
    expect(looksAt(from, first)).toEqual([look(true, "to the first")]);
    expect(looksAt(from, second)).toEqual([look(true, "to the second")]);
    for (const socket of [first, second]) socket.close();
  });

  // An emulated guest makes too few flows in a second.
  test.skipIf(process.env["VM_KERNEL"] !== undefined)(
    "of very many flows to one server some are looked at, and each end that is not is counted",
    () => {
      const address = randomLoopback();
      const server = new Socket(address);
      const began = performance.now();
      const most = GateSize.LOOKED_AT_QUIET;
      const clients = Array.from({ length: 8 * most }, () => {
        const client = new Socket(address).connect(server);
        client.send(STRANGE);
        server.receive();
        return client;
      });
      const spans = Math.ceil(((performance.now() - began) * 1e6) / 2 ** GateSize.SPAN_BITS) + 1;
      for (const client of clients) client.close();
      const lookedAt = clients.filter((client) => looksAt(client, server).length > 0).length;
      server.close();
      expect(lookedAt).toBeLessThanOrEqual(spans * most);
      expect(lookedAt).toBeGreaterThanOrEqual(GateSize.LOOKED_AT_QUIET);
      const [told] = trace.counts().filter(({ what }) => what.startsWith("flows of UDP were not"));
      expect(Number(told?.count ?? 0n)).toBeGreaterThanOrEqual(clients.length - lookedAt);
    },
  );
});

test.each(ofUdp)(
  "trace --attach %s: flows are named by their bytes, never by a port",
  async (mode) => {
    await using trace = await openTrace({
      ...{ attach: mode, debug: false, self: true },
      protocolEvents: true,
    });
    const seen: TracedEvent[] = [];
    const address = randomLoopback();
    const exchange = (port: number, asked: string, told: string) => {
      const server = new Socket(address, port);
      const client = new Socket(address).connect(server);
      client.send(asked);
      server.receive();
      server.sendTo(client, told);
      client.receive();
      client.close();
      server.close();
      return [client, server];
    };
    const cases = [
      ...exchange(0, question("Example.com"), answer("Example.com")),
      ...exchange(0, INITIAL, INITIAL.replace("\xc3", "\xcf")),
      ...exchange(53, STRANGE, STRANGE),
    ];
    const closed = cases.map(({ port }) =>
      until("the close", () => {
        seen.push(...trace.poll());
        return seen.find(({ kind, local }) => kind === "close" && local.port === port);
      }),
    );
    expect(closed.map(({ dns }) => dns ?? null)).toEqual([
      ...Array(2).fill({ questionName: "example.com", responseCode: "NXDOMAIN" }),
      ...Array(4).fill(null),
    ]);
    expect(closed.map(({ quic }) => quic?.version ?? null)).toEqual([
      null,
      null,
      "1",
      "1",
      null,
      null,
    ]);
    expect(closed.map(({ application }) => application)).toEqual([
      ...Array(2).fill({ api: null, application: "dns", encryption: null }),
      ...Array(2).fill({ api: null, application: null, encryption: "quic" }),
      ...Array(2).fill(null),
    ]);
    // Told once of each end, behind its beginning.
    const kindsOf = (port: number) =>
      seen.filter(({ local }) => local.port === port).map(({ kind }) => kind);
    for (const { local, application } of closed)
      expect(kindsOf(local.port)).toEqual(
        application ? ["begin", "protocol", "close"] : ["begin", "close"],
      );
  },
);
