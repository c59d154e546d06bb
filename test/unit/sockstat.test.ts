/** How many sockets a network namespace has, as the kernel tells it: a table that is empty is not read. */
import { expect, test } from "bun:test";
import { parseSocketCounts, socketCounts } from "../../src/kernel/sockstat.ts";

const SOCKSTAT = `sockets: used 29
TCP: inuse 2 orphan 0 tw 5 alloc 4 mem 0
UDP: inuse 1 mem 0
UDPLITE: inuse 7
RAW: inuse 8
FRAG: inuse 0 memory 0
`;
const SOCKSTAT6 = `TCP6: inuse 3
UDP6: inuse 4
UDPLITE6: inuse 9
RAW6: inuse 10
FRAG6: inuse 0 memory 0
`;

test("each table has its count, of its own protocol and family", () => {
  const counts = parseSocketCounts(SOCKSTAT, SOCKSTAT6);
  expect(counts).toEqual({ tcp: 2, udp: 1, tcp6: 3, udp6: 4 });
});

test("without IPv6 its tables are empty, and a file that says something else tells nothing", () => {
  expect(parseSocketCounts(SOCKSTAT, "")).toEqual({ tcp: 2, udp: 1, tcp6: 0, udp6: 0 });
  expect(parseSocketCounts("sockets: used 29\n", SOCKSTAT6)).toBeNull();
});

test("a listener and a bound UDP socket of this host count", async () => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const counts = socketCounts((file) => `/proc/net/${file}`)!;
  listener.stop();
  socket.close();
  expect(counts.tcp).toBeGreaterThan(0);
  expect(counts.udp).toBeGreaterThan(0);
});
