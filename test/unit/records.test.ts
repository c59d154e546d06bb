import { describe, expect, test } from "bun:test";
import { Batch, BATCH_ROOM, ConnStats } from "../../src/public/conn.ts";
import { ConntrackTuple } from "../../src/public/conntrack_tuple.ts";
import { ConnTuple, type ConnTupleParts } from "../../src/public/conn_tuple.ts";
import {
  ClassificationProgram,
  ConnDirection,
  ConnFamily,
  ConnFlags,
  ConnType,
  TCPFailure,
  TCPState,
} from "../../src/public/constants.ts";
import { RecordError } from "../../src/record/error.ts";
import * as records from "../../src/public/records.ts";
import { fc, runs } from "./drive/random.ts";

const { recordSizes, toBatch, toBytes, toConn, toConnStats, toConntrackTuple } = records;
const { toConnTuple, toTCPStats } = records;
const names = Object.keys(recordSizes) as records.RecordName[];
const decoders = Object.fromEntries(
  names.map((name) => [name, (records as Record<string, unknown>)[`to${name}`]]),
) as Record<records.RecordName, (bytes: Uint8Array) => unknown>;

const tcp: ConnTupleParts = {
  type: ConnType.TCP,
  source: "127.0.0.1",
  destination: "10.1.2.3",
  sourcePort: 51_000,
  destinationPort: 80,
  pid: 4711,
  netns: 4_026_531_833,
};

test("the sizes and constants are those that other tools know", () => {
  expect(recordSizes).toEqual({
    ConnTuple: 48,
    TCPStats: 16,
    ConnStats: 56,
    Conn: 120,
    Batch: 496,
    SkpConn: 56,
    PortBinding: 8,
    BindSyscallArgs: 16,
    PidTs: 16,
    PIDFD: 8,
    UDPRecvSock: 16,
    ProtocolStack: 4,
    ProtocolStackWrapper: 16,
    ConntrackTuple: 48,
    ConntrackTelemetry: 8,
    Telemetry: 136,
  });
  expect(ConnDirection).toEqual({ Unknown: 0, Incoming: 1, Outgoing: 2 });
  expect(ConnFamily).toEqual({ IPv4: 0, IPv6: 2 });
  expect(ConnType).toEqual({ UDP: 0, TCP: 1 });
  expect(ConnFlags).toEqual({ LInit: 1, RInit: 2, Assured: 4 });
  expect(ClassificationProgram).toEqual({ Queues: 2, DBs: 3, GRPC: 5 });
  expect(TCPFailure).toMatchObject({ Refused: 111, Reset: 104, TimedOut: 110 });
  expect(Object.values(TCPState)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
});

describe.each(names)("the decoder of %s", (name) => {
  const decode = decoders[name];
  const size = recordSizes[name];

  test("gives back what was written", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (bytes) => {
        if (name === "Batch") bytes.set([bytes[492]! % 5, 0], 492);
        const value = decode(bytes) as records.RecordOf<typeof name>;
        const written = toBytes(name, value);
        expect(decode(written)).toEqual(value);
        // Only padding may differ.
        expect(toBytes(name, decode(written) as typeof value)).toEqual(written);
      }),
      runs(30),
    );
  });

  test("refuses every other length and every start that is no multiple of 8", () => {
    const buffer = new ArrayBuffer(1024);
    for (let length = 0; length <= 600; length++) {
      if (length === size) continue;
      expect(() => decode(new Uint8Array(buffer, 0, length))).toThrow(RecordError);
    }
    for (let at = 0; at <= 64; at++) {
      const bytes = new Uint8Array(buffer, at, size);
      if (at % 8 === 0) expect(() => decode(bytes)).not.toThrow();
      else expect(() => decode(bytes)).toThrow(RangeError);
    }
    expect(() => decode(undefined as never)).toThrow(RecordError);
    expect(() => decode(buffer as never)).toThrow(RecordError);
  });

  test("reads nothing outside of the bytes given", () => {
    const inside = new Uint8Array(size);
    const around = new Uint8Array(size + 16).fill(0xff).fill(0, 8, 8 + size);
    expect(decode(around.subarray(8, 8 + size))).toEqual(decode(inside));
  });
});

describe("a tuple", () => {
  test("says who is connected with whom", () => {
    const tuple = ConnTuple.of(tcp);
    expect(tuple.sourceAddress()).toBe("127.0.0.1");
    expect(tuple.destinationAddress()).toBe("10.1.2.3");
    expect(tuple.sourceEndpoint()).toBe("127.0.0.1:51000");
    expect(tuple.destinationEndpoint()).toBe("10.1.2.3:80");
    expect([tuple.family(), tuple.type()]).toEqual([ConnFamily.IPv4, ConnType.TCP]);
    expect(tuple.toString()).toBe("tcp 127.0.0.1:51000 > 10.1.2.3:80 pid 4711 netns 4026531833");
  });

  test("holds IPv4 in network order in the low half of the low word, ports in host order", () => {
    const bytes = toBytes("ConnTuple", ConnTuple.of(tcp));
    const expected = new Uint8Array(48);
    expected.set([127, 0, 0, 1], 8);
    expected.set([10, 1, 2, 3], 24);
    expected.set([0x38, 0xc7, 80, 0], 32); // 51000 = 0xc738
    expected.set([0xf9, 0xff, 0xff, 0xef], 36); // 4026531833 = 0xeffffff9
    expected.set([0x67, 0x12], 40); // 4711 = 0x1267
    expected.set([1], 44);
    expect(bytes).toEqual(expected);
  });

  test("holds IPv6 as sixteen bytes in network order", () => {
    const source = "2001:db8::1";
    const tuple = ConnTuple.of({ ...tcp, type: ConnType.UDP, source, destination: "::1" });
    const bytes = toBytes("ConnTuple", tuple);
    expect([...bytes.subarray(0, 16)]).toEqual([0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 1]);
    expect([...bytes.subarray(16, 32)]).toEqual([...Array(15).fill(0), 1]);
    expect(tuple.metadata).toBe(2);
    expect(tuple.setPid(0).setNetns(0).toString()).toBe("udp [2001:db8::1]:51000 > [::1]:80");
  });

  test("takes IPv4-mapped IPv6 as IPv4", () => {
    const tuple = ConnTuple.of({ ...tcp, source: "::ffff:1.2.3.4", destination: "5.6.7.8" });
    expect(tuple.family()).toBe(ConnFamily.IPv4);
    expect(tuple.sourceAddress()).toBe("1.2.3.4");
  });

  test("keeps its type when the family changes, its family when the type does, and foreign bits", () => {
    const tuple = ConnTuple.of(tcp);
    tuple.metadata |= 0x8000_0000;
    tuple.setAddresses("::1", "::2");
    expect([tuple.family(), tuple.type()]).toEqual([ConnFamily.IPv6, ConnType.TCP]);
    tuple.setType(ConnType.UDP);
    expect([tuple.family(), tuple.type()]).toEqual([ConnFamily.IPv6, ConnType.UDP]);
    tuple.setAddresses("1.1.1.1", "2.2.2.2").setType(ConnType.TCP);
    expect(tuple.metadata >>> 0).toBe(0x8000_0001);
  });

  test("refuses one end of another family, and takes it while the other end has no address", () => {
    const tuple = ConnTuple.of(tcp);
    expect(() => tuple.setSourceAddress("::1")).toThrow(RecordError);
    expect(() => tuple.setDestinationAddress("::1")).toThrow(RecordError);
    expect(() => tuple.setAddresses("::1", "1.2.3.4")).toThrow(RecordError);
    expect(tuple).toEqual(ConnTuple.of(tcp));
    const empty = toConnTuple(new Uint8Array(48))
      .setSourceAddress("::7")
      .setDestinationAddress("::8");
    expect(empty.family()).toBe(ConnFamily.IPv6);
    expect(empty.sourceAddress()).toBe("::7");
  });

  test.each([
    ["a port", (tuple: ConnTuple, n: number) => tuple.setSourcePort(n), 65_535],
    ["the other port", (tuple: ConnTuple, n: number) => tuple.setDestinationPort(n), 65_535],
    ["a pid", (tuple: ConnTuple, n: number) => tuple.setPid(n), 2 ** 32 - 1],
    ["a namespace", (tuple: ConnTuple, n: number) => tuple.setNetns(n), 2 ** 32 - 1],
  ] as const)("refuses %s that the record cannot hold", (_, set, largest) => {
    for (const wrong of [-1, largest + 1, 0.5, NaN, Infinity])
      expect(() => set(ConnTuple.of(tcp), wrong)).toThrow(RecordError);
    expect(() => set(ConnTuple.of(tcp), largest)).not.toThrow();
  });

  test("refuses what is no address and no type", () => {
    for (const wrong of ["", "localhost", "1.2.3", "1.2.3.256", ":::", "::1%lo"])
      expect(() => ConnTuple.of({ ...tcp, source: wrong })).toThrow(RecordError);
    expect(() => ConnTuple.of({ ...tcp, type: 2 as ConnType })).toThrow(RecordError);
  });

  test("of any addresses and ports says them again", () => {
    const ip = fc.oneof(
      fc.tuple(fc.constant(4), fc.ipV4(), fc.ipV4()),
      fc.tuple(fc.constant(6), fc.ipV6(), fc.ipV6()),
    );
    fc.assert(
      fc.property(ip, fc.nat(65_535), fc.nat(65_535), ([, source, destination], from, to) => {
        const parts = { ...tcp, source, destination, sourcePort: from, destinationPort: to };
        let tuple: ConnTuple;
        try {
          tuple = ConnTuple.of(parts);
        } catch (error) {
          // One of them is IPv4-mapped, and so of another family than the other.
          expect(error).toBeInstanceOf(RecordError);
          return;
        }
        const again = ConnTuple.of({
          ...parts,
          source: tuple.sourceAddress(),
          destination: tuple.destinationAddress(),
        });
        expect(again).toEqual(tuple);
        expect(toConnTuple(toBytes("ConnTuple", tuple))).toEqual(tuple);
        expect([tuple.sport, tuple.dport]).toEqual([from, to]);
      }),
    );
  });
});

describe("a tuple of conntrack", () => {
  const parts = {
    type: ConnType.UDP,
    ...{ source: "10.1.1.2", sourcePort: 38958, destination: "10.96.0.1", destinationPort: 53 },
    netns: 4026531833,
  };
  const original = ConntrackTuple.of(parts);

  test("is bytes and values of its two ends", () => {
    const bytes = toBytes("ConntrackTuple", original);
    const expected = new Uint8Array(48);
    expected.set([10, 1, 1, 2], 8);
    expected.set([10, 96, 0, 1], 24);
    expected.set([0x2e, 0x98, 53, 0], 32); // 38958 = 0x982e
    expected.set([0xf9, 0xff, 0xff, 0xef], 36); // 4026531833 = 0xeffffff9
    expect(bytes).toEqual(expected);
    const read = toConntrackTuple(bytes);
    expect(read).toBeInstanceOf(ConntrackTuple);
    expect(read).toEqual(original);
    expect(read.toString()).toBe("udp 10.1.1.2:38958 > 10.96.0.1:53 netns 4026531833");
    expect([read.family(), read.type()]).toEqual([ConnFamily.IPv4, ConnType.UDP]);
    expect(() => read.setSourcePort(65_536)).toThrow("ConntrackTuple");
  });

  test("is translated by a reply that is not its inverse", () => {
    const plain = original.inverse();
    expect(plain.toString()).toBe("udp 10.96.0.1:53 > 10.1.1.2:38958 netns 4026531833");
    expect(plain.inverse()).toEqual(original);
    expect(original.isTranslatedBy(plain)).toBe(false);
    const replies = [
      plain.inverse(),
      original.inverse().setSourceAddress("10.1.2.2"),
      original.inverse().setSourcePort(5353),
      original.inverse().setDestinationAddress("192.0.2.1"),
      original.inverse().setDestinationPort(1024),
    ];
    for (const reply of replies) expect(original.isTranslatedBy(reply)).toBe(true);
    const v6 = ConntrackTuple.of({ ...parts, source: "2001:db8::1", destination: "fd00::1" });
    expect(v6.isTranslatedBy(v6.inverse())).toBe(false);
    expect(v6.isTranslatedBy(v6.inverse().setDestinationAddress("fd00:0:0:1::"))).toBe(true);
  });
});

test("statistics say their direction, whether they are assured, and the states entered", () => {
  const stats = toConnStats(new Uint8Array(56));
  expect(stats.connectionDirection()).toBe(ConnDirection.Unknown);
  stats.direction = 1;
  expect(stats.connectionDirection()).toBe(ConnDirection.Incoming);
  stats.direction = 2;
  expect(stats.connectionDirection()).toBe(ConnDirection.Outgoing);
  stats.direction = 77;
  expect(stats.connectionDirection()).toBe(ConnDirection.Unknown);
  stats.flags = ConnFlags.LInit | ConnFlags.RInit;
  expect(stats.isAssured()).toBe(false);
  stats.flags |= ConnFlags.Assured;
  expect(stats.isAssured()).toBe(true);
  const tcpStats = toTCPStats(new Uint8Array(16));
  tcpStats.state_transitions = (1 << TCPState.Established) | (1 << TCPState.Close);
  expect(tcpStats.entered(TCPState.Established)).toBe(true);
  expect(tcpStats.entered(TCPState.SynSent)).toBe(false);
});

test("a batch gives as many connections as it says it holds, and none says more than four", () => {
  const bytes = new Uint8Array(496);
  for (let slot = 0; slot < BATCH_ROOM; slot++)
    new DataView(bytes.buffer).setBigUint64(slot * 120 + 64, BigInt(slot + 1), true);
  for (let len = 0; len <= BATCH_ROOM; len++) {
    bytes[492] = len;
    const batch = toBatch(bytes);
    expect(batch).toBeInstanceOf(Batch);
    expect(batch.conns().map((conn) => conn.conn_stats.sent_bytes)).toEqual(
      [1n, 2n, 3n, 4n].slice(0, len),
    );
  }
  for (const len of [5, 255]) {
    bytes[492] = len;
    expect(() => toBatch(bytes)).toThrow("room for 4");
  }
});

test("a connection's parts have their methods", () => {
  const conn = toConn(new Uint8Array(120));
  expect(conn.tup).toBeInstanceOf(ConnTuple);
  expect(conn.conn_stats).toBeInstanceOf(ConnStats);
});
