/**
 * The first bytes of TCP connections reach the recogniser as they were sent, with their place in the stream, from both ends of
 * a connection. The truth: the bytes that the test itself sends.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { randomLoopback } from "../../src/guess/loopback.ts";
import { monotonicNs } from "../../src/kernel/clock.ts";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { textOf } from "../../src/kernel/text_file.ts";
import { GateSize, PayloadSize } from "../../src/record/layout.gen.ts";
import { NO_FILTER } from "../../src/trace/kernel_filter.ts";
import { PARTS } from "../../src/trace/parts.ts";
import { protocolsBy } from "../../src/trace/protocols/part.ts";
import { Recognised } from "../../src/trace/protocols/recognised.ts";
import type { Look } from "../../src/protocols/recognition.ts";
import type { Trace } from "../../src/trace/trace.ts";
import { openTrace } from "../../src/trace/tracer.ts";
import { linuxAtLeast, modes, sparing } from "./drive/modes.ts";
import {
  check,
  dial,
  families,
  Listener,
  pair,
  until,
  type Family,
  type Peer,
} from "./drive/peer.ts";

setDefaultTimeout(180_000);

/** Keeps all looks of one connection, and names it on its events. */
class Recorder {
  readonly looks: (Omit<Look, "bytes"> & { bytes: string })[] = [];
  readonly application = null;
  readonly outcome = "unrecognised";
  see({ bytes, ...look }: Look): boolean {
    this.looks.push({ ...look, bytes: Buffer.from(bytes).toString("latin1") });
    return false;
  }
  describe(shown: TracedEvent): void {
    (shown as Described).recorder = this;
  }
}

type Described = TracedEvent & { recorder?: Recorder };

/** Stand-ins, as their protocols begin. */
const HTTP = "GET /index.html HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n";
const POSTGRESQL = "\0\0\0\x08\x04\xd2\x16\x2f";
const REDIS = "*1\r\n$4\r\nPING\r\n";
const SSH = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
const HELLO = `\x16\x03\x01\x02\0\x01${Array.from({ length: 600 }, (_, n) => String.fromCharCode(n % 251)).join("")}`;
const { PAYLOAD_FIRST: FIRST, PAYLOAD_BYTES, PAYLOAD_MORE } = PayloadSize;
const OF_TLS = FIRST + PAYLOAD_MORE * PAYLOAD_BYTES;

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const say = ({ fd }: Peer, text: string, flags = 0): void => {
  expect(check(libc.send(fd, bytesOf(text), flags), "send")).toBe(text.length);
};

/** Linux before 4.17 shows few segments: of those that a server receives none behind its first answer. */
const seesAll =
  linuxAtLeast(4, 17) &&
  process.env["TRACER_BPF_WITHOUT"]?.split(",").includes("segment_tracepoint") !== true;

/** One end says it, and the other one has read it. */
function speak(from: Peer, to: Peer, text: string): void {
  say(from, text);
  to.read(text.length);
}

function end(...ends: Peer[]): void {
  for (const one of ends) one.close();
}

/** A connection that says something, from its beginning to its end. */
function exchange(listener: Listener, request = REDIS): [client: Peer, server: Peer] {
  const client = dial(listener.address, listener.port);
  const server = listener.accept();
  speak(client, server, request);
  end(client, server);
  return [client, server];
}

describe.each(modes)("trace --attach %s", (mode) => {
  let trace: Trace;
  const seen: Described[] = [];

  beforeAll(async () => {
    const parts = PARTS.filter((part) => part({ attach: mode, debug: false }).name !== NAME);
    trace = await openTrace({ attach: mode, debug: false, self: true, protocols: true }, [
      ...parts,
      protocolsBy(() => new Recorder()),
    ]);
  });

  afterAll(() => trace[Symbol.asyncDispose]());

  /** The looks at the connection of this end, when its close is shown. */
  function looksAt({ truth: { local, remote } }: Peer) {
    const close = until("the close", () => {
      seen.push(...trace.poll());
      return seen.find(
        (event) =>
          event.kind === "close" &&
          event.local.port === local.port &&
          event.remote.port === remote.port,
      );
    });
    return close.recorder?.looks ?? [];
  }

  /** One look at a segment with this text. */
  const look = (fromClient: boolean, text: string, offset = 0) => ({
    ...{ fromClient, offset, length: text.length, bytes: text.slice(0, FIRST) },
  });

  test("nothing keeps the part from working", () => {
    expect(trace.notes.filter((note) => /application protocols are/.test(note))).toEqual([]);
  });

  describe.each(Object.keys(families))("%s", (family) => {
    test.each([
      ["HTTP/1", HTTP, "HTTP/1.1 204 No Content\r\n\r\n"],
      ["PostgreSQL", POSTGRESQL, "N"],
      ["Redis", REDIS, "+PONG\r\n"],
    ])("%s: the client speaks first", (_name, request, answer) => {
      const { client, server } = pair(family as Family);
      speak(client, server, request);
      speak(server, client, answer);
      end(client, server);
      expect(looksAt(server)).toContainEqual(look(true, request));
      // Its own bytes, which nobody has acknowledged yet, and the answer to them.
      expect(looksAt(client)).toEqual([look(true, request), look(false, answer)]);
    });
  });

  test("SSH: the server speaks first", () => {
    const { client, server } = pair();
    speak(server, client, SSH);
    speak(client, server, SSH);
    end(client, server);
    expect(looksAt(client)).toContainEqual(look(false, SSH));
    expect(looksAt(server)).toContainEqual(look(true, SSH));
  });

  test("bytes that come before the accept are the connection's", () => {
    const listener = new Listener("127.0.0.1");
    const client = dial("127.0.0.1", listener.port);
    say(client, HTTP);
    client.awaitInfo("the acknowledgement", ({ unacked }) => unacked === 0);
    const server = listener.accept();
    server.read(HTTP.length);
    end(client, server);
    listener.close();
    expect(looksAt(server)).toEqual([look(true, HTTP)]);
  });

  test("a message in several segments is seen in pieces, each with its place", () => {
    const { client, server } = pair();
    const pieces = ["GE", "T /", " HTTP/1.1\r\n\r\n"];
    let offset = 0;
    const expected = pieces.map((piece) => {
      say(client, piece);
      server.read(piece.length);
      const one = look(true, piece, offset);
      offset += piece.length;
      return one;
    });
    end(client, server);
    expect(looksAt(server)).toEqual(expected);
  });

  test("of a TLS handshake more is seen, of anything else 48 bytes", () => {
    const { client, server } = pair();
    say(client, HELLO);
    server.read(HELLO.length);
    say(client, HELLO.replace("\x16", "\x17"));
    server.read(HELLO.length);
    end(client, server);
    const looks = looksAt(server);
    const hello = looks.filter(({ offset }) => offset < HELLO.length);
    expect(hello.map(({ bytes }) => bytes).join("")).toBe(HELLO.slice(0, OF_TLS));
    let at = 0;
    for (const { offset, length, bytes } of hello) {
      expect({ offset, length }).toEqual({ offset: at, length: HELLO.length - at });
      at += bytes.length;
    }
    const rest = looks.filter(({ offset }) => offset >= HELLO.length);
    expect(rest.map(({ bytes }) => bytes.length)).toEqual([FIRST]);
  });

  test.skipIf(!seesAll)("of HTTP/2 more is seen from the preface on, at both ends", () => {
    const { client, server } = pair();
    const texts = [`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"s".repeat(300)}`, "h".repeat(300)];
    speak(client, server, texts[0]!);
    speak(server, client, "answer");
    speak(client, server, texts[1]!);
    speak(server, client, "another");
    end(client, server);
    for (const looks of [looksAt(server), looksAt(client)])
      for (const text of texts) {
        const from = text === texts[0] ? 0 : texts[0]!.length;
        const seen = looks.filter(
          ({ fromClient, offset }) =>
            fromClient === true && offset >= from && offset < from + text.length,
        );
        expect(seen.map(({ bytes }) => bytes).join("")).toBe(text);
      }
  });

  test.skipIf(!seesAll)("the answer of a server is seen at its own end", () => {
    const { client, server } = pair();
    speak(client, server, REDIS);
    speak(server, client, "+PONG\r\n");
    speak(client, server, REDIS);
    end(client, server);
    expect(looksAt(server)).toContainEqual(look(false, "+PONG\r\n"));
  });

  test("of HTTP/2 more is seen from the preface on, until an answer", () => {
    const { client, server } = pair();
    const text = `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"s".repeat(300)}`;
    speak(client, server, text);
    speak(server, client, "answer");
    end(client, server);
    for (const looks of [looksAt(server), looksAt(client)]) {
      const ofClient = looks.filter(({ fromClient }) => fromClient === true);
      expect(ofClient.map(({ bytes }) => bytes).join("")).toBe(text);
    }
  });

  test("after so many segments nothing more is looked at", () => {
    const { client, server } = pair();
    for (let n = 0; n < 20; n++) {
      speak(client, server, `message ${n}`);
    }
    end(client, server);
    expect(looksAt(server).map(({ bytes }) => bytes)).toEqual(
      Array.from({ length: GateSize.LOOKS }, (_, n) => `message ${n}`),
    );
  });

  test("connections one after the other to one server are all looked at", () => {
    const listener = new Listener(randomLoopback());
    const servers = Array.from({ length: 30 }, () => exchange(listener)[1]);
    listener.close();
    for (const server of servers) expect(looksAt(server)).toEqual([look(true, REDIS)]);
  });

  // An emulated guest makes too few connections in a second.
  test.skipIf(process.env["VM_KERNEL"] !== undefined)(
    "of very many connections to one server some are looked at, and each end that is not is counted",
    async () => {
      const listener = new Listener(randomLoopback());
      const { LOOKED_AT_QUIET, LOOKED_AT_NEW, SPAN_BITS } = GateSize;
      const span = () => Number(monotonicNs() >> BigInt(SPAN_BITS));
      const first = span() + 1;
      const clients: Peer[] = [];
      for (let n = first; n < first + 5; n++) {
        while (span() < n) await Bun.sleep(1);
        for (let i = 0; i < 2 * LOOKED_AT_QUIET; i++) clients.push(exchange(listener)[0]);
      }
      const spans = span() - first + 1;
      listener.close();
      const lookedAt = clients.filter((client) => looksAt(client).length > 0).length;
      // Nobody has drained meanwhile, so there is no verdict. On a slow machine the second span may still be quiet.
      expect(lookedAt).toBeLessThanOrEqual(2 * LOOKED_AT_QUIET + (spans - 2) * LOOKED_AT_NEW);
      expect(lookedAt).toBeGreaterThanOrEqual(LOOKED_AT_QUIET);
      const [told] = trace.counts().filter(({ what }) => what.includes("were not looked at, as"));
      expect(Number(told?.count ?? 0n)).toBeGreaterThanOrEqual(clients.length - lookedAt);
    },
  );

  test("payload in pages of a file is seen", () => {
    const { client, server } = pair();
    const file = new Uint8Array(20_000).map((_, n) => 65 + (n % 61));
    say(client, Buffer.from(file).toString("latin1"), k.MSG_DONTWAIT);
    server.read(file.length);
    end(client, server);
    const [first] = looksAt(server);
    expect(first).toMatchObject({
      offset: 0,
      bytes: Buffer.from(file.subarray(0, FIRST)).toString(),
    });
  });
});

/** Kernels from 5.10 on show what does not depend on how segments are seen. */
const isSpared = sparing && !linuxAtLeast(5, 10);

test.skipIf(isSpared).each(modes)(
  "trace --attach %s: that a connection is recognised ends no looks at the next one on its sock",
  async (mode) => {
    const parts = PARTS.filter((part) => part({ attach: mode, debug: false }).name !== NAME);
    /** Done while the tool has the bytes of a connection, and has not told the kernel side that it is recognised. */
    let meanwhile = () => {};
    const seen = new Set<string>();
    const recogniser = {
      application: null,
      outcome: "unrecognised" as const,
      see({ bytes }: Look) {
        seen.add(Buffer.from(bytes).toString("latin1"));
        meanwhile();
        return true;
      },
      describe() {},
    };
    await using trace = await openTrace({ attach: mode, debug: false, self: true }, [
      ...parts,
      protocolsBy(() => recogniser),
    ]);
    const listener = new Listener(randomLoopback());
    const said = Array.from({ length: 20 }, (_, n) => `the message number ${n} of this test`);
    const open = (): [Peer, Peer] => {
      const client = dial(listener.address, listener.port);
      return [client, listener.accept()];
    };
    let [client, server] = open();
    for (const text of said) {
      speak(client, server, text);
      meanwhile = () => {
        meanwhile = () => {};
        end(client, server);
        [client, server] = open();
      };
      until("the look", () => {
        trace.poll();
        return seen.has(text) || undefined;
      });
    }
    end(client, server);
    listener.close();
    expect(said.filter((text) => !seen.has(text))).toEqual([]);
  },
);

describe.skipIf(isSpared).each(modes)(
  "trace --attach %s, by the protocols' own recogniser",
  (mode) => {
    /** Of both ends of each connection to the port, in the order of time. */
    async function closesOf(work: (trace: Trace, keep: () => readonly TracedEvent[]) => number) {
      await using trace = await openTrace({ attach: mode, debug: false, self: true });
      const seen: TracedEvent[] = [];
      const keep = () => {
        seen.push(...trace.poll());
        return seen;
      };
      const port = work(trace, keep);
      seen.push(...trace.poll(true));
      return seen.filter(
        ({ kind, local, remote }) =>
          kind === "close" && (local.port === port || remote.port === port),
      );
    }

    test("of very many connections to one server each close has the protocol", async () => {
      const many = process.env["VM_KERNEL"] === undefined ? 3000 : 120;
      const closes = await closesOf((_trace, keep) => {
        const listener = new Listener(randomLoopback());
        for (let n = 0; n < many; n++) {
          exchange(listener);
          if (n % 20 === 0) keep();
        }
        listener.close();
        return listener.port;
      });
      expect(closes.length).toBe(2 * many);
      const unnamed = closes.flatMap(({ application, ...close }, n) =>
        application?.application === "redis" ? [] : [{ n, ...close }],
      );
      expect(unnamed).toEqual([]);
    });

    // The kernel tells what is attached from 5.8 on.
    test.skipIf(!linuxAtLeast(5, 8))(
      "while many segments come and no connection is new, nobody looks at segments",
      async () => {
        const [busy, listener] = [new Listener(randomLoopback()), new Listener(randomLoopback())];
        // Other connections of the host begin all the time, perhaps.
        const filter = { ...NO_FILTER, ports: [busy.port, listener.port] };
        const parts = PARTS.filter((part) => part({ attach: mode, debug: false }).name !== NAME);
        // An emulated guest is slow.
        const protocols = protocolsBy(() => new Recognised(), 100);
        await using trace = await openTrace({ attach: mode, debug: false, self: true, filter }, [
          ...parts,
          protocols,
        ]);
        const closes: TracedEvent[] = [];
        const poll = () => closes.push(...trace.poll().filter(({ kind }) => kind === "close"));
        const from = dial(busy.address, busy.port, {
          prepare: (fd) =>
            check(libc.setsockoptInt(fd, k.SOL_TCP, k.TCP_NODELAY, 1), "TCP_NODELAY"),
        });
        const to = busy.accept();
        expect(attachmentsTo("tcp_probe")).toBe(1);
        const segment = bytesOf("one segment");
        const isDetached = () => {
          for (let round = 0; round < 20; round++) {
            for (let n = 0; n < 50; n++) check(libc.send(from.fd, segment, 0), "send");
            to.read(50 * segment.length);
          }
          poll();
          return attachmentsTo("tcp_probe") === 0;
        };
        until("the end of the attachment", isDetached);
        const missed = exchange(listener);
        const [client, server] = [dial(listener.address, listener.port), listener.accept()];
        poll();
        expect(attachmentsTo("tcp_probe")).toBe(1);
        speak(client, server, REDIS);
        end(client, server);
        until("the next end of the attachment", isDetached);
        end(from, to);
        for (const one of [busy, listener]) one.close();
        closes.push(...trace.poll(true).filter(({ kind }) => kind === "close"));
        const named = (ends: Peer[]) =>
          ends.map(({ truth: { local, remote } }) => {
            const is = ({ local: one, remote: other }: TracedEvent) =>
              one.port === local.port && other.port === remote.port;
            return closes.find(is)!.application?.application ?? null;
          });
        expect(named([client, server])).toEqual(["redis", "redis"]);
        expect(named(missed)).toEqual([null, null]);
        const counts = trace.counts().map(({ what, count }) => `${count} ${what}`);
        // The busy connection's ends: what it began with was seen.
        expect(counts).toContain(
          "4 connections with an unknown application protocol: 0 moved no data, 2 spoke none that is known here, the first bytes of 2 were not seen",
        );
        expect(counts.find((count) => count.includes("nobody looked at segments"))).toMatch(/^2 /);
      },
    );

    test("a server that takes another one's port is not named after it", async () => {
      const many = process.env["VM_KERNEL"] === undefined ? 1000 : 100;
      const closes = await closesOf((_trace, keep) => {
        const address = randomLoopback();
        const first = new Listener(address);
        const { port } = first;
        const exchangeMany = (listener: Listener, request: string, count: number) => {
          for (let n = 0; n < count; n++) {
            exchange(listener, request);
            if (n % 20 === 0) keep();
          }
        };
        exchangeMany(first, REDIS, many);
        first.close();
        const second = new Listener(address, port);
        // Until the tool has heard of the new server, only a few of its connections are looked at in a second.
        until("word of the new server", () => {
          exchangeMany(second, HTTP, 20);
          return keep().some((event) => nameOf(event) === "http" && event.local.port === port);
        });
        exchangeMany(second, HTTP, many / 2);
        second.close();
        return port;
      });
      const names = closes.map(nameOf);
      expect(names.slice(0, 2 * many).filter((name) => name !== "redis")).toEqual([]);
      const after = names.slice(2 * many);
      expect(after.filter((name) => name !== "http" && name !== null)).toEqual([]);
      expect(after.slice(-many).filter((name) => name !== "http")).toEqual([]);
    });
  },
);

const nameOf = ({ application }: TracedEvent): string | null => application?.application ?? null;

const NAME = "application protocols";

/** Attachments of this process to the tracepoint, as the kernel tells. */
function attachmentsTo(tracepoint: string): number {
  const texts = readdirSync("/proc/self/fdinfo").map(
    (fd) => textOf(`/proc/self/fdinfo/${fd}`) ?? "",
  );
  return texts.filter((text) => new RegExp(`^(raw_)?tp_name:\\s*${tracepoint}$`, "m").test(text))
    .length;
}
