import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import {
  correctUdpDirection,
  DEFAULT_EPHEMERAL,
  isEphemeral,
  parsePortRange,
  tcpDirection,
} from "../../src/conn/direction.ts";
import type { Direction } from "../../src/conn/event.ts";

const port = fc.integer({ min: 1, max: 65_535 });

describe("the direction of a TCP connection that nobody was seen to open", () => {
  test.each<[string, number, number, boolean, boolean, Direction]>([
    ["a server's end", 80, 40_000, true, false, "incoming"],
    ["a server's end, its client on a port of its choice", 80, 1023, true, false, "incoming"],
    ["the end of a server on an ephemeral port", 40_000, 40_001, true, false, "incoming"],
    ["a client of a server elsewhere", 40_000, 443, false, false, "outgoing"],
    ["a client of a server on this host", 40_000, 8080, false, true, "outgoing"],
    ["a client of an ephemeral port on this host", 40_000, 40_001, false, true, "outgoing"],
    ["a client that bound its port, server on this host", 700, 8080, false, true, "outgoing"],
    ["the end of a server that listens no more", 8080, 40_000, false, false, "incoming"],
    ["two ephemeral ports without a listener", 40_000, 40_001, false, false, "unknown"],
    ["two ports outside the range without a listener", 700, 2049, false, false, "unknown"],
    ["two listeners, one on an ephemeral port", 40_000, 8080, true, true, "outgoing"],
    ["a socket connected to itself, which listens", 8080, 8080, true, true, "unknown"],
  ])("%s", (_, localPort, remotePort, localListens, remoteListens, direction) => {
    const ends = { localPort, remotePort, localListens, remoteListens };
    expect(tcpDirection(ends, DEFAULT_EPHEMERAL)).toBe(direction);
  });

  test("both ends never say the same direction", () => {
    fc.assert(
      fc.property(port, port, fc.boolean(), fc.boolean(), (a, b, aListens, bListens) => {
        const ends = {
          localPort: a,
          remotePort: b,
          localListens: aListens,
          remoteListens: bListens,
        };
        const other = {
          localPort: b,
          remotePort: a,
          localListens: bListens,
          remoteListens: aListens,
        };
        const one = tcpDirection(ends, DEFAULT_EPHEMERAL);
        const opposite = {
          incoming: "outgoing",
          outgoing: "incoming",
          unknown: "unknown",
        } as const;
        expect(tcpDirection(other, DEFAULT_EPHEMERAL)).toBe(opposite[one]);
      }),
    );
  });
});

describe("the direction of a UDP flow whose beginning was not seen", () => {
  // Ephemeral local, ephemeral remote, intra-host, local port chosen by a program: each combination that can be.
  test.each<[string, Direction, number, number, boolean, boolean, Direction]>([
    ["an answer of DNS", "incoming", 40_000, 53, false, false, "outgoing"],
    ["an answer of DNS on this host", "incoming", 40_000, 53, true, false, "outgoing"],
    ["an answer of a high port on this host", "incoming", 40_000, 8125, true, false, "outgoing"],
    ["a high port elsewhere may be a client's", "incoming", 40_000, 8125, false, false, "incoming"],
    ["an ephemeral port asks an ephemeral one", "incoming", 40_000, 40_001, true, true, "incoming"],
    ["a client asks a server", "incoming", 53, 40_000, true, true, "incoming"],
    ["a service asks a service", "incoming", 123, 123, true, true, "incoming"],
    ["a server answers on this host", "outgoing", 53, 40_000, true, true, "incoming"],
    ["a server answers a client elsewhere", "outgoing", 53, 40_000, false, true, "incoming"],
    ["a server answers a client behind NAT", "outgoing", 53, 1_025, false, true, "incoming"],
    ["a server answers a client of Windows", "outgoing", 4433, 62_000, false, true, "incoming"],
    ["a server on a high port answers", "outgoing", 51_820, 40_000, false, true, "incoming"],
    ["a client on a high port asks", "outgoing", 51_820, 40_000, false, false, "outgoing"],
    ["two peers on the same high port", "outgoing", 51_820, 51_820, false, true, "outgoing"],
    ["a client that bound its port asks a server", "outgoing", 68, 67, false, true, "outgoing"],
    ["the same of a server on a high port", "outgoing", 1812, 5060, false, true, "outgoing"],
    ["a port above the range is none on this host", "outgoing", 53, 62_000, true, true, "outgoing"],
    ["a client asks a server elsewhere", "outgoing", 40_000, 53, false, false, "outgoing"],
    ["a client asks a server on this host", "outgoing", 40_000, 53, true, false, "outgoing"],
    ["two ephemeral ports on this host", "outgoing", 40_000, 40_001, true, false, "outgoing"],
    ["two services on this host", "outgoing", 123, 123, true, true, "outgoing"],
    ["what is unknown stays unknown", "unknown", 40_000, 53, true, true, "unknown"],
  ])("%s", (_, direction, localPort, remotePort, intraHost, bound, corrected) => {
    const ends = { localPort, remotePort, intraHost, bound };
    expect(correctUdpDirection(direction, ends, DEFAULT_EPHEMERAL)).toBe(corrected);
  });

  test("correcting twice is correcting once", () => {
    const direction = fc.constantFrom<Direction>("incoming", "outgoing", "unknown");
    const ends = fc.record({
      localPort: port,
      remotePort: port,
      intraHost: fc.boolean(),
      bound: fc.boolean(),
    });
    fc.assert(
      fc.property(direction, ends, (seen, of) => {
        const once = correctUdpDirection(seen, of, DEFAULT_EPHEMERAL);
        expect(correctUdpDirection(once, of, DEFAULT_EPHEMERAL)).toBe(once);
      }),
    );
  });
});

test("the range of ephemeral ports is read as the kernel writes it", () => {
  expect(parsePortRange("32768\t60999\n")).toEqual(DEFAULT_EPHEMERAL);
  for (const text of ["", "32768", "a b", "1 2 3", "-1 5"]) expect(parsePortRange(text)).toBeNull();
});

test("both ends of the range belong to it", () => {
  const range = { first: 1024, last: 2048 };
  expect([1023, 1024, 2048, 2049].map((n) => isEphemeral(n, range))).toEqual([
    false,
    true,
    true,
    false,
  ]);
});
