/** Requests and answers of ctnetlink, against answers that Linux 6.18 has given. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  deleteEntry,
  getEntry,
  newEntry,
  readAnswer,
  readAnswers,
  turned,
  type Request,
  type Tuple,
} from "../../src/kernel/ctnetlink_codec.ts";
import { readMessages } from "../../src/kernel/netlink.ts";
import { RecordError } from "../../src/record/error.ts";

/** One datagram each, by the name of its request; their numbers go from 1 on. */
const recorded = (await Bun.file(
  join(import.meta.dir, "../fixtures/ctnetlink/6.18.json"),
).json()) as Record<string, string>;

const end = (address: string, port: number) => ({
  family: address.includes(":") ? (6 as const) : (4 as const),
  address,
  port,
});
const tuple = (protocol: number, source: Tuple["source"], destination: Tuple["source"]): Tuple => ({
  protocol,
  source,
  destination,
});

const TCP = {
  orig: tuple(6, end("10.1.2.3", 1234), end("10.4.5.6", 80)),
  reply: tuple(6, end("10.7.8.9", 8080), end("10.10.11.12", 4321)),
};
const UDP6 = {
  orig: tuple(17, end("2001:db8::1", 1234), end("2001:db8::2", 53)),
  reply: tuple(17, end("2001:db8::3", 5353), end("2001:db8::4", 4321)),
};
const NAT = tuple(6, end("10.1.2.3", 5555), end("10.4.5.6", 80));

const made = (entry: { orig: Tuple; reply: Tuple }) => newEntry({ ...entry, timeoutSeconds: 100 });
const requests: Readonly<Record<string, Request>> = {
  made: made(TCP),
  made_zone: newEntry({ ...UDP6, zone: 7, timeoutSeconds: 100 }),
  made_nat: newEntry({
    orig: NAT,
    reply: turned(NAT),
    timeoutSeconds: 100,
    natDestination: end("10.9.9.9", 99),
  }),
  taken: made(TCP),
  tcp: getEntry(TCP.orig),
  tcp_by_reply: getEntry(TCP.reply),
  missing: getEntry(UDP6.orig),
  udp6_zone: getEntry(UDP6.orig, 7),
  nat: getEntry(NAT),
  deleted: deleteEntry(TCP.orig),
};

const bytesOf = (name: string) => Uint8Array.from(Buffer.from(recorded[name]!, "hex"));
const answerTo = (name: string) =>
  readAnswers(bytesOf(name)).get(Object.keys(requests).indexOf(name) + 1);

describe("an answer of ctnetlink", () => {
  test.each<[string, unknown]>([
    ["made", 0],
    ["made_zone", 0],
    ["made_nat", 0],
    ["taken", 17],
    ["tcp", { ...TCP, zone: 0, status: 8 }],
    ["tcp_by_reply", { ...TCP, zone: 0, status: 8 }],
    ["missing", 2],
    ["udp6_zone", { ...UDP6, zone: 7, status: 8 }],
    [
      "nat",
      // The kernel has made the reply tuple itself.
      {
        orig: NAT,
        reply: tuple(6, end("10.9.9.9", 99), NAT.source),
        zone: 0,
        status: 424,
      },
    ],
    ["deleted", 0],
  ])("to the request %s", (name, answer) => {
    expect(answerTo(name)).toEqual(answer as ReturnType<typeof answerTo>);
  });

  test("is refused where an entry is cut off at any byte, or a needed attribute is missing", () => {
    const whole = bytesOf("nat");
    for (let length = 1; length < whole.length; length++)
      expect(() => readAnswers(whole.subarray(0, length))).toThrow(RecordError);
    const [entry] = readMessages(whole);
    expect(() => readAnswer({ ...entry!, payload: entry!.payload.subarray(0, 4) })).toThrow(
      "an answer of ctnetlink: the orig tuple is missing",
    );
    expect(() => readAnswer({ ...entry!, type: 3 })).toThrow("a message of type 3");
  });
});

test.each(["taken", "missing"])("a refused request comes back as it was sent: %s", (name) => {
  const [{ payload } = { payload: new Uint8Array() }] = readMessages(bytesOf(name));
  const seq = Object.keys(requests).indexOf(name) + 1;
  expect(Buffer.from(payload.subarray(4)).toString("hex")).toBe(
    Buffer.from(requests[name]!(seq)).toString("hex"),
  );
});
