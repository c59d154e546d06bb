/** The direction of UDP flows, also of those whose beginning went unseen. */
import { describe, expect, test } from "bun:test";
import type { Row } from "../../src/kernel/proc_net.ts";
import {
  ConnDirection,
  ConnFact,
  eventSize,
  EventKind,
  readEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { UdpDirections } from "../../src/trace/udp/directions.ts";

const { DIRECTION_INCOMING: IN, DIRECTION_OUTGOING: OUT } = ConnDirection;
const { FACT_BOUND: BOUND, FACT_FIRST_FLOW: FIRST } = ConnFact;
const NETNS = 4026531833;
const LOOPBACK = 0x0100007fn;
const FAR = 0x08080808n;

const used = (localPort: number): Row => ({
  local: "00000000",
  remote: "00000000",
  localPort,
  remotePort: 0,
  state: 7,
  ino: 1,
});

interface Flow {
  direction: number;
  sport: number;
  dport: number;
  daddr_l?: bigint;
  flags?: number;
  netns?: number;
}

function flow({ direction, sport, dport, daddr_l = LOOPBACK, flags = FIRST, netns = NETNS }: Flow) {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  Object.assign(event.ends, { sport, dport, daddr_l, saddr_l: LOOPBACK });
  return { ...event, sk: 1n, netns, direction, kind: EventKind.EVENT_UDP_OPEN, flags };
}

const sent = (sport: number, dport: number, more: Partial<Flow> = {}) =>
  flow({ direction: OUT, sport, dport, ...more });
const received = (sport: number, dport: number, more: Partial<Flow> = {}) =>
  flow({ direction: IN, sport, dport, ...more });

function directions(...ports: number[]): UdpDirections {
  const made = new UdpDirections();
  made.add(NETNS, ports.map(used));
  return made;
}
const begun = (of: UdpDirections, event: Event): number => of.begun(event).direction;

describe("of a socket that was there when the trace began", () => {
  test.each([
    ["a server that answers is asked", sent(53, 40000), IN],
    ["a server that answers somebody elsewhere is asked", sent(53, 40000, { daddr_l: FAR }), IN],
    ["a client that is answered asks", received(40000, 53), OUT],
    ["a client of a well-known port far away asks", received(40000, 53, { daddr_l: FAR }), OUT],
    ["a server that is asked is asked", received(53, 40000), IN],
    ["a client that asks asks", sent(40000, 53), OUT],
    ["two ephemeral ports tell nothing", received(40000, 40001), IN],
    ["two ephemeral ports, ours bound, are a server's", sent(40000, 40001, { flags: BOUND }), IN],
    ["a service that asks another asks", sent(53, 123), OUT],
    ["a remote end that is not known tells nothing", received(40000, 0), IN],
  ])("%s", (_, event, direction) => {
    expect(begun(directions(53, 40000), event)).toBe(direction);
  });
});

describe("of a younger socket", () => {
  test("the first datagram is believed, whatever the ports", () => {
    expect(begun(directions(), received(40000, 53))).toBe(IN);
    expect(begun(directions(), sent(6881, 40000))).toBe(OUT);
    expect(begun(directions(), sent(40000, 40001, { flags: FIRST | BOUND }))).toBe(OUT);
  });

  test("that shares its port with one which has spoken, an answer is none of its own", () => {
    const of = directions();
    expect(begun(of, received(4433, 40000))).toBe(IN);
    expect(begun(of, sent(4433, 40000))).toBe(IN);
    expect(begun(of, sent(4433, 123))).toBe(OUT);
  });

  test("the same on a port that only its lock tells to be bound", () => {
    const of = directions();
    begun(of, received(50000, 40000));
    expect(begun(of, sent(50000, 40000, { flags: FIRST | BOUND }))).toBe(IN);
    expect(begun(of, sent(50000, 40000))).toBe(OUT);
  });

  test("that shares its port, a request is for this socket, whatever the ports", () => {
    const of = directions();
    begun(of, received(50000, 40000));
    expect(begun(of, received(50000, 53))).toBe(IN);
  });

  test("its own earlier flows are nobody else's", () => {
    const of = directions();
    begun(of, received(4433, 40000));
    expect(begun(of, sent(4433, 40001, { flags: 0 }))).toBe(OUT);
  });

  test("a port in another namespace is another port", () => {
    const of = directions();
    begun(of, received(4433, 40000));
    expect(begun(of, sent(4433, 40000, { netns: NETNS + 1 }))).toBe(OUT);
  });

  test("once the others are gone it is alone, and nothing is remembered of them", () => {
    const of = directions();
    const gone = [received(4433, 40000), received(4433, 40001)];
    for (const event of gone) of.begun(event);
    expect(of.size).toBe(1);
    for (const event of gone) of.ended(event);
    expect(of.size).toBe(0);
    expect(begun(of, sent(4433, 40000))).toBe(OUT);
  });
});

test("a namespace that was not listed has younger sockets alone", () => {
  expect(begun(directions(40000), received(40000, 53, { netns: NETNS + 1 }))).toBe(IN);
});
