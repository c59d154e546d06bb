/** The protocols of one connection, look by look: upgrades to TLS, headers in front, names, and connections in the middle. */
import { describe, expect, test } from "bun:test";
import { Recognition, type Look } from "../../src/protocols/recognition.ts";
import { highestOf } from "../../src/protocols/stack.ts";
import { protocolTable } from "../../src/protocols/table.ts";
import { grpcCall, http2Get, tcpSamples, udpSamples, type Sample } from "./drive/payloads.ts";

const LOOK = 48;
const text = (written: string) => Uint8Array.from(Buffer.from(written, "latin1"));
const bytesOf = (title: string) => tcpSamples.find((one) => one.title === title)!.bytes;
const helloOf = (title: string) => tcpSamples.find((one) => one.title === title)!;

/** Both ends of a connection: counts how far each has sent, and looks at its segments as the kernel side does. */
class Talk {
  readonly recognition = new Recognition();
  #sent = { client: 0, server: 0 };

  client = (bytes: Uint8Array, options?: { most?: number; length?: number }) =>
    this.#says("client", bytes, options);
  server = (bytes: Uint8Array, options?: { most?: number; length?: number }) =>
    this.#says("server", bytes, options);

  get stack() {
    const { application, done } = this.recognition;
    return { ...(application ?? { api: null, application: null, encryption: null }), done };
  }

  /** In pieces of 48 bytes, at most `most` bytes of it. */
  #says(
    from: "client" | "server",
    bytes: Uint8Array,
    { most = LOOK, length = bytes.length }: { most?: number; length?: number } = {},
  ): boolean {
    const offset = this.#sent[from];
    this.#sent[from] += length;
    for (let at = 0; at < Math.min(most, bytes.length); at += LOOK)
      this.recognition.see({
        fromClient: from === "client",
        offset: offset + at,
        length: length - at,
        bytes: bytes.subarray(at, Math.min(at + LOOK, most)),
      });
    return this.recognition.done;
  }
}

const lookOf = ({ from, start, length, bytes }: Sample, most = LOOK): Look => ({
  fromClient: from === "client",
  offset: start ? 0 : 71_000,
  length,
  bytes: bytes.subarray(0, most),
});

test.each(tcpSamples.filter(({ greeting }) => greeting === ""))(
  "one look at $title tells $name",
  (sample) => {
    const recognition = new Recognition();
    recognition.see(lookOf(sample));
    expect(highestOf(recognition.application!)).toBe(sample.name!);
    expect(recognition.outcome).toBe("known");
  },
);

test.each(udpSamples)("one datagram tells $name: $title", (sample) => {
  const recognition = new Recognition("udp");
  // Of a question the answer is still wanted.
  expect(recognition.see(lookOf(sample))).toBe(sample.from === "server");
  expect(highestOf(recognition.application!)).toBe(sample.name!);
});

test("equal stacks are the same object", () => {
  const [one, other] = [new Recognition(), new Recognition()];
  for (const of of [one, other]) of.see(lookOf(helloOf("curl: GET")));
  expect(one.application).toBe(other.application);
});

describe("protocols that change to TLS", () => {
  test("PostgreSQL whose server agrees", () => {
    const talk = new Talk();
    expect(talk.client(bytesOf("psql: request for TLS"))).toBe(false);
    expect(talk.server(text("S"))).toBe(false);
    talk.client(bytesOf("curl: ClientHello"));
    expect(talk.stack).toMatchObject({ application: "postgres", encryption: "tls" });
  });

  test("PostgreSQL whose server has no TLS", () => {
    const talk = new Talk();
    talk.client(bytesOf("psql: request for TLS"));
    talk.server(text("N"));
    expect(talk.client(bytesOf("node-postgres: startup"))).toBe(true);
    expect(talk.stack).toMatchObject({ application: "postgres", encryption: null });
  });

  test("MySQL", () => {
    const talk = new Talk();
    expect(talk.server(bytesOf("MySQL 8: greeting"))).toBe(false);
    expect(talk.client(bytesOf("mysql2: request for TLS"))).toBe(false);
    talk.client(bytesOf("curl: ClientHello"));
    expect(talk.stack).toMatchObject({ application: "mysql", encryption: "tls" });
  });

  test("MySQL with a plain login is done", () => {
    const talk = new Talk();
    talk.server(bytesOf("MySQL 8: greeting"));
    expect(talk.client(bytesOf("mysql2: login"))).toBe(true);
  });

  test("SMTP by STARTTLS", () => {
    const talk = new Talk();
    talk.server(text("220 mx.example.com ESMTP Postfix\r\n"));
    talk.client(text("EHLO null\r\n"));
    talk.server(text("250-mx.example.com\r\n250 STARTTLS\r\n"));
    talk.client(text("STARTTLS\r\n"));
    talk.server(text("220 2.0.0 Ready to start TLS\r\n"));
    talk.client(bytesOf("curl: ClientHello"), { most: 512 });
    expect(talk.stack).toMatchObject({ application: "smtp", encryption: "tls" });
    expect(talk.recognition.tls).toMatchObject({ serverName: "shop.example.com" });
  });

  test("SMTP without STARTTLS is done with the first mail", () => {
    const talk = new Talk();
    talk.server(text("220 ready\r\n"));
    talk.client(text("EHLO null\r\n"));
    talk.server(text("250 mx.example.com\r\n"));
    expect(talk.client(text("MAIL FROM:<a@example.com>\r\n"))).toBe(true);
    expect(talk.stack).toMatchObject({ application: "smtp", encryption: null });
  });

  test.each([
    ["220 files of example.com\r\n", null],
    ["220 (vsFTPd 3.0.3)\r\n", "ftp"],
  ] as const)(
    "FTP by AUTH TLS, which a greeting or the first command tells from SMTP: %j",
    (line, named) => {
      const talk = new Talk();
      talk.server(text(line));
      expect(talk.stack.application).toBe(named);
      talk.client(text("AUTH TLS\r\n"));
      talk.server(text("234 Proceed with negotiation.\r\n"));
      talk.client(bytesOf("curl: ClientHello"));
      expect(talk.stack).toMatchObject({ application: "ftp", encryption: "tls" });
    },
  );

  test("FTP whose greeting is seen behind the command", () => {
    const talk = new Talk();
    talk.client(text("USER anonymous\r\n"));
    expect(talk.stack.application).toBeNull();
    talk.server(text("220 files of example.com\r\n"));
    expect(talk.stack.application).toBe("ftp");
  });

  test("POP3 has the same command, and is unknown", () => {
    const talk = new Talk();
    talk.client(text("USER anonymous\r\n"));
    talk.server(text("+OK ready\r\n"));
    expect(talk.stack.application).toBeNull();
  });

  test("a tunnel through an HTTP proxy", () => {
    const talk = new Talk();
    talk.client(bytesOf("curl: CONNECT"));
    talk.server(text("HTTP/1.1 200 OK\r\n\r\n"));
    talk.client(bytesOf("curl: ClientHello"), { most: 512 });
    expect(talk.stack).toMatchObject({ application: "http", encryption: "tls" });
    expect(talk.recognition.tls?.serverName).toBe("shop.example.com");
  });

  test("plain HTTP is done at once", () => {
    expect(new Talk().client(bytesOf("curl: GET"))).toBe(true);
  });
});

describe("behind a PROXY header", () => {
  const v1 = text("PROXY TCP4 192.0.2.1 198.51.100.7 42194 443\r\n");
  const v2 = Uint8Array.from(
    Buffer.from("0d0a0d0a000d0a515549540a2111000cc0000201c6336407a4d201bb", "hex"),
  );
  test.each([
    ["version 1", v1],
    ["version 2", v2],
  ])("%s as a segment of its own", (_, header) => {
    const talk = new Talk();
    expect(talk.client(header)).toBe(false);
    talk.client(bytesOf("node-postgres: startup"));
    expect(talk.stack).toMatchObject({ application: "postgres", done: true });
  });

  test("version 2 and a request in one segment", () => {
    const talk = new Talk();
    talk.client(Uint8Array.from([...v2, ...text("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")]));
    expect(talk.stack.application).toBe("http");
  });
});

describe("HTTP/2", () => {
  const talkOf = (samples: readonly Sample[]) => {
    const talk = new Talk();
    for (const { from, bytes } of samples) talk[from](bytes, { most: 160 });
    return talk;
  };
  test("with a call of gRPC", () => {
    expect(talkOf(grpcCall.slice(0, 3)).stack).toEqual({
      api: "grpc",
      application: "http2",
      encryption: null,
      done: true,
    });
  });
  test("gRPC by the answer alone", () => {
    const [preface, , , answer] = grpcCall;
    expect(talkOf([preface!, answer!]).stack).toMatchObject({ api: "grpc", done: true });
  });
  test("with another request", () => {
    expect(talkOf(http2Get).stack).toMatchObject({ api: null, application: "http2", done: true });
  });
});

describe("TLS", () => {
  test("a hello in pieces tells the server's name and what the client offers", () => {
    const talk = new Talk();
    talk.client(bytesOf("curl: ClientHello"), { most: 512 });
    expect(talk.recognition.tls).toEqual({
      version: null,
      serverName: "shop.example.com",
      alpn: null,
      alpnOffered: "h2,http/1.1",
    });
  });

  test.each([
    ["OpenSSL: ServerHello of TLS 1.3", "1.3", null, null],
    ["OpenSSL: ServerHello of TLS 1.2", "1.2", "http/1.1", "http"],
  ])("%s tells the version %s, and the protocol: %p", (title, version, alpn, application) => {
    const talk = new Talk();
    talk.client(bytesOf("curl: ClientHello"), { most: 576 });
    const { bytes, length } = helloOf(title);
    expect(talk.server(bytes, { most: 192, length })).toBe(true);
    expect(talk.recognition.tls).toMatchObject({ version, alpn, serverName: "shop.example.com" });
    expect(talk.stack).toMatchObject({ application, encryption: "tls" });
  });

  test("a hello in two segments", () => {
    const talk = new Talk();
    const hello = bytesOf("curl: ClientHello");
    talk.client(hello.subarray(0, 70), { most: 512 });
    talk.client(hello.subarray(70), { most: 512 });
    expect(talk.recognition.tls?.serverName).toBe("shop.example.com");
  });

  test("where only the first bytes were seen, the name is unknown and the end comes soon", () => {
    const talk = new Talk();
    talk.client(bytesOf("curl: ClientHello"));
    talk.server(bytesOf("OpenSSL: ServerHello of TLS 1.3"), { length: 1336 });
    talk.client(bytesOf("application data"), { length: 74 });
    expect(talk.server(bytesOf("application data"), { length: 74 })).toBe(true);
    expect(talk.stack.encryption).toBe("tls");
    expect(talk.recognition.tls).toBeNull();
  });

  test("pieces that come again or too late do no harm", () => {
    const hello = bytesOf("curl: ClientHello");
    const recognition = new Recognition();
    const piece = (offset: number, length = LOOK): Look => ({
      fromClient: true,
      offset,
      length: hello.length - offset,
      bytes: hello.subarray(offset, offset + length),
    });
    for (const at of [0, 0, 48, 48, 0, 96, 144, 192]) recognition.see(piece(at));
    expect(recognition.tls?.serverName).toBe("shop.example.com");
  });

  test("a name is kept as it came, whatever bytes it has", () => {
    const hello = Uint8Array.from(bytesOf("curl: ClientHello"));
    const at = Buffer.from(hello).indexOf("shop.example.com");
    hello.set([0x1b, 0x5b, 0x9b, 0x0a], at);
    const talk = new Talk();
    talk.client(hello, { most: 512 });
    expect(talk.recognition.tls?.serverName).toBe("\x1b[\x9b\n.example.com");
  });
});

describe("a connection that is older than the trace", () => {
  test.each(
    tcpSamples.filter(({ start, name }) => !start && protocolTable[name!].over === undefined),
  )("$title tells $name, whichever end sent it", (sample) => {
    const recognition = new Recognition();
    recognition.see({ ...lookOf(sample), fromClient: null });
    expect(highestOf(recognition.application!)).toBe(sample.name!);
  });

  test("text that is part of a page is no request", () => {
    const recognition = new Recognition();
    const bytes = text("GET /  is how a request begins, as all of you know.\r\nAnd more");
    recognition.see({ fromClient: null, offset: 9000, length: 1400, bytes });
    expect(recognition.application).toBeNull();
  });
});

test("an unknown protocol is given up after 16 segments", () => {
  const recognition = new Recognition();
  const looks = Array.from({ length: 16 }, (_, n) =>
    recognition.see({ fromClient: true, offset: n * 9, length: 9, bytes: text("something") }),
  );
  expect(looks.lastIndexOf(false)).toBe(14);
  expect(recognition.outcome).toBe("unrecognised");
  expect(new Recognition().outcome).toBe("no data");
});

describe("datagrams", () => {
  const question = (name: string, flags = "\x01\0", id = "\x12\x34"): Uint8Array => {
    const labels = name.split(".").map((label) => String.fromCharCode(label.length) + label);
    return text(`${id}${flags}\0\x01\0\0\0\0\0\0${labels.join("")}\0\0\x01\0\x01`);
  };
  const refused = (name: string, id?: string) => question(name, "\x81\x85", id);
  const sample = (title: string) => udpSamples.find((one) => one.title === title)!;
  /** In pieces, as the kernel side looks at a question; of anything else the first. */
  const see = (recognition: Recognition, fromClient: boolean, bytes: Uint8Array, pieces = 1) => {
    for (let at = 0; at < Math.min(bytes.length, pieces * 80); at += 80)
      recognition.see({
        ...{ fromClient, offset: at, length: bytes.length - at },
        bytes: bytes.subarray(at, at + 80),
      });
    return recognition.dns;
  };

  test("DNS: the first question, and the answer to it alone", () => {
    const recognition = new Recognition("udp");
    const asked = { questionName: "www.example.com", responseCode: null };
    expect(see(recognition, true, question("WWW.example.com"))).toEqual(asked);
    expect(see(recognition, true, question("other.example.com", "\x01\0", "\0\x07"))).toEqual(
      asked,
    );
    expect(see(recognition, false, refused("other.example.com", "\0\x07"))).toEqual(asked);
    expect(see(recognition, false, text("no message of DNS at all"))).toEqual(asked);
    expect(recognition.done).toBe(false);
    const answered = { ...asked, responseCode: "REFUSED" };
    expect(see(recognition, false, refused("www.example.com"))).toEqual(answered);
    expect(recognition.done).toBe(true);
  });

  test("DNS: of an answer whose question was not seen", () => {
    const answered = { questionName: "a.b", responseCode: "REFUSED" };
    expect(see(new Recognition("udp"), false, refused("a.b"))).toEqual(answered);
  });

  test("DNS: a long name is put together, and unknown where a piece of it is missing", () => {
    const long = Array.from({ length: 4 }, (_, n) => "abcd"[n]!.repeat(60)).join(".");
    for (const [pieces, questionName] of [
      [4, long],
      [2, null],
    ] as const) {
      const recognition = new Recognition("udp");
      expect(see(recognition, true, question(long), pieces)?.questionName).toBe(questionName);
      const answered = { questionName, responseCode: "REFUSED" };
      expect(see(recognition, false, refused(long))).toEqual(answered);
    }
  });

  test("DNS over TCP has them too", () => {
    const talk = new Talk();
    const framed = (bytes: Uint8Array) => Uint8Array.of(0, bytes.length, ...bytes);
    talk.client(framed(question("example.com")));
    talk.server(framed(refused("example.com")));
    const answered = { questionName: "example.com", responseCode: "REFUSED" };
    expect(talk.recognition.dns).toEqual(answered);
    expect(talk.recognition.done).toBe(true);
  });

  test("QUIC: the client's version, then the server's", () => {
    const recognition = new Recognition("udp");
    recognition.see(lookOf(sample("curl: Initial")));
    expect([recognition.quic?.version, recognition.done]).toEqual(["1", false]);
    const other = lookOf(sample("server: Initial"));
    const [, ...rest] = other.bytes;
    const bytes = Uint8Array.of(0xd0, 0x6b, 0x33, 0x43, 0xcf, ...rest.slice(4));
    recognition.see({ ...other, bytes });
    expect([recognition.quic?.version, recognition.done]).toEqual(["2", true]);
  });
});
