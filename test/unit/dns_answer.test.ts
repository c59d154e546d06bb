/** Names of addresses from answers of DNS: every byte of them is somebody else's. */
import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { questionName } from "../../src/protocols/dns.ts";
import { readAnswer, readQuery } from "../../src/protocols/dns_answer.ts";
import { openNamer } from "../../src/names/named.ts";
import { ConnDirection, DatagramSize, type DatagramLook } from "../../src/record/layout.gen.ts";
import { Answers } from "../../src/trace/protocols/answers.ts";
import { event } from "./drive/conn_event.ts";

const nameOf = (name: string): Buffer =>
  Buffer.concat([
    ...name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label, "latin1")])),
    Buffer.of(0),
  ]);

const u16 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [n, value] of values.entries()) bytes.writeUInt16BE(value, n * 2);
  return bytes;
};

const POINTER = Buffer.of(0xc0, 12);
const [A, CNAME, AAAA] = [1, 5, 28];

/** Type, data, and what stands for its name. */
type Row = [type: number, data: Uint8Array, name?: Uint8Array];

const query = (name: string, id = 7): Buffer =>
  Buffer.concat([u16(id, 0x0100, 1, 0, 0, 0), nameOf(name), u16(A, 1)]);

function answer(name: string, rows: Row[], { id = 7, flags = 0x8180 } = {}): Buffer {
  const records = rows.map(([type, data, of = POINTER]) =>
    Buffer.concat([of, u16(type, 1, 0, 60, data.length), data]),
  );
  const head = u16(id, flags, 1, rows.length, 0, 0);
  return Buffer.concat([head, nameOf(name), u16(A, 1), ...records]);
}

const v4 = Buffer.of(192, 0, 2, 1);
const v6 = Buffer.from("20010db8000000000000000000000001", "hex");

describe("an answer", () => {
  test("gives all addresses behind the names that lead to them", () => {
    const rows: Row[] = [
      [CNAME, nameOf("edge.cdn.example")],
      [A, v4, Buffer.of(0xc0, 0x30)],
      [AAAA, v6, nameOf("edge.cdn.example")],
      [A, Buffer.of(192, 0, 2, 2), Buffer.of(3, 0x77, 0x77, 0x77, 0xc0, 12)],
    ];
    expect(readAnswer(answer("WWW.example.org", rows))).toEqual({
      id: 7,
      name: "www.example.org",
      addresses: [v4, v6, Buffer.of(192, 0, 2, 2)].map((bytes) => new Uint8Array(bytes)),
    });
  });

  test.each<[string, Buffer]>([
    ["an error", answer("a.example", [[A, v4]], { flags: 0x8183 })],
    ["a query", answer("a.example", [[A, v4]], { flags: 0x0100 })],
    ["another operation", answer("a.example", [[A, v4]], { flags: 0xa880 })],
    ["an address of another length", answer("a.example", [[A, v6]])],
    ["no address", answer("a.example", [[CNAME, nameOf("b.example")]])],
    ["the root", answer("", [[A, v4]])],
    ["a name with a blank", answer("a b.example", [[A, v4]])],
  ])("gives none: %s", (_, bytes) => expect(readAnswer(bytes)).toBeNull());

  test("gives those that are all there when it was cut", () => {
    const whole = answer("a.example", [
      [A, v4],
      [A, Buffer.of(192, 0, 2, 2)],
    ]);
    for (let length = 0; length < whole.length; length++) {
      const found = readAnswer(whole.subarray(0, length))?.addresses.length ?? 0;
      expect(found).toBe(length < whole.length - 16 ? 0 : 1);
    }
  });

  test("of any bytes gives the question's name and no more than the records there are", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600, size: "max" }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(100), fc.boolean())
        .map(([garbage, at, cut]) => {
          const good = answer("a.example", [
            [CNAME, nameOf("b.example")],
            [A, v4],
            [AAAA, v6],
          ]);
          good.set(garbage.subarray(0, Math.max(0, good.length - at)), Math.min(at, good.length));
          return cut ? good.subarray(0, at) : good;
        }),
    );
    fc.assert(
      fc.property(bytes, (some) => {
        const found = readAnswer(some);
        readQuery(some);
        if (found === null) return;
        expect(found.name).toBe(questionName(some, 0)!);
        expect(found.addresses.length).toBeLessThanOrEqual(some.length / 14);
      }),
    );
  });
});

/** The looks at a datagram of a flow, as the kernel side makes them. */
function tell(answers: Answers, datagram: Uint8Array, of: Partial<DatagramLook> = {}): void {
  for (let offset = 0; offset < datagram.length; offset += DatagramSize.DATAGRAM_BYTES) {
    const bytes = new Uint8Array(DatagramSize.DATAGRAM_BYTES);
    const piece = datagram.subarray(offset, offset + bytes.length);
    bytes.set(piece);
    const len = datagram.length - offset;
    const ends = { dport: 53 };
    const direction = ConnDirection.DIRECTION_OUTGOING;
    const look = { ends, direction, netns: 1, sent: 0, bytes, offset, got: piece.length, len };
    answers.see("flow", { ...look, ...of } as DatagramLook);
  }
}

const asked = (name: string): Answers => {
  const answers = new Answers();
  tell(answers, query(name), { sent: 1 });
  return answers;
};

describe("a name of an address", () => {
  const many = Array.from({ length: 20 }, (_, n): Row => [A, Buffer.of(198, 51, 100, n)]);

  test("is that of the question, in the namespace in which it was asked", () => {
    const answers = asked("a.example");
    tell(answers, answer("a.example", [...many, [AAAA, v6]]));
    expect(answers.nameOf(1, "198.51.100.19")).toBe("a.example");
    expect(answers.nameOf(1, "2001:db8::1")).toBe("a.example");
    expect(answers.nameOf(2, "198.51.100.19")).toBeNull();
    expect(answers.nameOf(1, "192.0.2.1")).toBeNull();
  });

  test.each<[string, Buffer, Partial<DatagramLook>]>([
    ["to another question", answer("b.example", [[A, v4]]), {}],
    ["with another id", answer("a.example", [[A, v4]], { id: 8 }), {}],
    ["that this host sends", answer("a.example", [[A, v4]]), { sent: 1 }],
    [
      "in a flow from outside",
      answer("a.example", [[A, v4]]),
      { direction: ConnDirection.DIRECTION_INCOMING },
    ],
    [
      "from another port",
      answer("a.example", [[A, v4]]),
      { ends: { dport: 5353 } as DatagramLook["ends"] },
    ],
  ])("does not come from an answer %s", (_, bytes, of) => {
    const answers = asked("a.example");
    tell(answers, bytes, of);
    expect(answers.nameOf(1, "192.0.2.1")).toBeNull();
  });

  test("does not come from pieces of which one is missing", () => {
    const answers = asked("a.example");
    const bytes = answer("a.example", many);
    const of = (offset: number) => ({ offset, len: bytes.length - offset });
    tell(answers, bytes.subarray(0, 72), of(0));
    tell(answers, bytes.subarray(144, 216), of(144));
    expect(answers.nameOf(1, "198.51.100.10")).toBeNull();
  });

  test("is no form of an address, and the source stands beside it", () => {
    const named = (name: string | null) => {
      using namer = openNamer(() => name);
      const connected = event("connect", { remote: { address: "127.0.0.1", port: 80 } });
      namer.name(connected);
      return connected.remote;
    };
    expect(named("web.example")).toMatchObject({ name: "web.example", nameSource: "answer" });
    for (const hostile of ["127.1", "0x7f000001", "2130706433", "a b.example", "", "x".repeat(300)])
      expect(named(hostile)).toMatchObject({ name: null, nameSource: null });
  });
});
