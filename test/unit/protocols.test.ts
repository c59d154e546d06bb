/** Protocols by their first bytes: each is recognised by its own row and by no other, and strangers are not. */
import { describe, expect, test } from "bun:test";
import { Seen } from "../../src/protocols/seen.ts";
import {
  namesOf,
  protocolNames,
  protocolTable,
  type ProtocolName,
  type Transport,
} from "../../src/protocols/table.ts";
import {
  foreignTcp,
  foreignUdp,
  grpcCall,
  http2Get,
  tcpSamples,
  udpSamples,
  type Sample,
} from "./drive/payloads.ts";

/** As much as the kernel side copies of a segment. */
const LOOK = 48;

const cases = [
  ...[...tcpSamples, ...foreignTcp].map((sample) => ({ transport: "tcp" as const, sample })),
  ...[...udpSamples, ...foreignUdp].map((sample) => ({ transport: "udp" as const, sample })),
].map((one) => ({ ...one, title: `${one.sample.name} by ${one.transport}: ${one.sample.title}` }));

const seenOf = ({ bytes, greeting, ...rest }: Sample, most = Infinity) =>
  new Seen({ ...rest, bytes: bytes.subarray(0, most) }, greeting);

/** All rows that would take it, whatever their order. */
const takers = (transport: Transport, seen: Seen): ProtocolName[] =>
  protocolNames.filter((name) => {
    const { over, [transport]: match } = protocolTable[name];
    return over === undefined && match?.(seen) === true;
  });

describe("the first bytes of a segment", () => {
  test.each(cases)("$title", ({ transport, sample }) => {
    const expected = sample.name === null ? [] : [sample.name];
    expect(takers(transport, seenOf(sample))).toEqual(expected);
    expect(takers(transport, seenOf(sample, LOOK))).toEqual(expected);
  });

  test.each(cases.filter(({ sample }) => sample.name !== null))(
    "$title: a part of them is this protocol or none",
    ({ transport, sample }) => {
      for (let most = 0; most < LOOK; most++) {
        const found = takers(transport, seenOf(sample, most));
        expect(found.filter((name) => name !== sample.name)).toEqual([]);
      }
    },
  );

  test.each(cases.filter(({ sample }) => sample.name !== null))(
    "$title: from the other end they are this protocol or none",
    ({ transport, sample }) => {
      const from = sample.from === "client" ? "server" : "client";
      const found = takers(transport, seenOf({ ...sample, from }));
      expect(found.filter((name) => name !== sample.name)).toEqual([]);
    },
  );

  test("each protocol has two samples at least", () => {
    const names = [...tcpSamples, ...udpSamples].map(({ name }) => name);
    const few = protocolNames.filter(
      (name) =>
        protocolTable[name].over === undefined && names.filter((n) => n === name).length < 2,
    );
    expect(few).toEqual([]);
  });
});

describe("gRPC", () => {
  const grpc = (sample: Sample) => protocolTable.grpc.tcp!(seenOf(sample));

  test("the headers of a call and of its answer tell, its other frames do not", () => {
    expect(grpcCall.map(grpc)).toEqual([null, null, true, true]);
  });
  test("a request by another method is none", () => {
    expect(http2Get.map(grpc)).toEqual([null, null, false]);
  });
});

test("each layer has protocols, and each protocol is looked for somewhere", () => {
  for (const layer of ["api", "application", "encryption"] as const)
    expect(namesOf(layer)).not.toEqual([]);
  for (const name of protocolNames)
    expect(protocolTable[name].tcp ?? protocolTable[name].udp, name).toBeDefined();
});
