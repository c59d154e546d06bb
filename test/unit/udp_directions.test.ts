/** The direction of UDP flows whose beginning went unseen. */
import { expect, test } from "bun:test";
import type { Row } from "../../src/kernel/proc_net.ts";
import {
  ConnDirection,
  connSize,
  EventKind,
  readConn,
  type Event,
} from "../../src/record/layout.gen.ts";
import { UdpDirections } from "../../src/trace/udp_directions.ts";

const { DIRECTION_INCOMING: IN, DIRECTION_OUTGOING: OUT } = ConnDirection;
const NETNS = 4026531833;
const LOOPBACK = 0x0100007fn;
const FAR = 0x08080808n;

const bound = (localPort: number): Row => ({
  local: "00000000",
  remote: "00000000",
  localPort,
  remotePort: 0,
  state: 7,
  ino: 1,
});

function flow(direction: number, sport: number, dport: number, daddr_l = LOOPBACK): Event {
  const conn = readConn(new DataView(new ArrayBuffer(connSize)), 0);
  Object.assign(conn.tup, { sport, dport, daddr_l, saddr_l: LOOPBACK, netns: NETNS });
  conn.conn_stats.direction = direction;
  const owner = { comm: new Uint8Array(16), uid: 0, owned_at: 0, cgroup_id: 0n, program: 0n };
  return { sk: 1n, conn, ...owner, kind: EventKind.EVENT_UDP_OPEN, flags: 0 };
}

function corrected(of: Event, ports = [53, 40000]): number {
  const directions = new UdpDirections();
  directions.add(NETNS, ports.map(bound));
  return directions.correct(of).conn.conn_stats.direction;
}

test.each([
  ["a server that answers is asked", flow(OUT, 53, 40000), IN],
  ["a client that is answered asks", flow(IN, 40000, 53), OUT],
  ["a client of a well-known port far away asks", flow(IN, 40000, 53, FAR), OUT],
  ["a server that is asked is asked", flow(IN, 53, 40000), IN],
  ["a client that asks asks", flow(OUT, 40000, 53), OUT],
  ["two ephemeral ports tell nothing", flow(IN, 40000, 40001), IN],
  ["a remote end that is not known tells nothing", flow(IN, 40000, 0), IN],
])("%s", (_, event, direction) => {
  expect(corrected(event)).toBe(direction);
});

test("of a socket younger than the trace the first datagram is believed", () => {
  expect(corrected(flow(IN, 40000, 53), [])).toBe(IN);
});

test("of a namespace that was not listed as well", () => {
  const event = flow(IN, 40000, 53);
  event.conn.tup.netns++;
  expect(corrected(event)).toBe(IN);
});
