/** Sockets that processes hold, of all network namespaces, as the kernel's walk over all files tells of them. */
import { expect, test } from "bun:test";
import {
  AF_INET,
  AF_INET6,
  IPPROTO_MPTCP,
  IPPROTO_TCP,
  IPPROTO_UDP,
} from "../../src/kernel/constants.ts";
import {
  ConnMetadata,
  EventKind,
  eventSize,
  heldSockSize,
  HeldSockView,
  readEvent,
  TcpState,
  writeHeldSock,
  type HeldSock,
} from "../../src/record/layout.gen.ts";
import { Held } from "../../src/trace/held.ts";

const NETNS = 4026531840;

function held(ino: number, of: Partial<HeldSock> & { kind?: number; netns?: number } = {}) {
  const event = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  const { kind = 0, netns = NETNS, ...rest } = of;
  const ends = {
    saddr_h: 0n,
    saddr_l: 0x0100007fn,
    daddr_h: 0n,
    daddr_l: 0x0200007fn,
    sport: 80,
    dport: 40_001,
    metadata: ConnMetadata.METADATA_TCP,
  };
  const view = new DataView(new ArrayBuffer(heldSockSize));
  writeHeldSock(view, 0, {
    ino: BigInt(ino),
    tgid: 7,
    tid: 7,
    family: AF_INET,
    protocol: IPPROTO_TCP,
    state: TcpState.TCP_STATE_ESTABLISHED,
    port: 80,
    event: { ...event, kind, netns, ends },
    ...rest,
  });
  return new HeldSockView(view, 0);
}

test("a socket counts once in the table of its protocol and family, however many hold it", () => {
  const records = [
    held(1),
    held(1, { tgid: 8, tid: 8 }),
    held(2, { family: AF_INET6 }),
    held(3, { protocol: IPPROTO_UDP }),
    held(4, { protocol: IPPROTO_UDP, family: AF_INET6 }),
    held(5, { netns: 1 }),
    held(6, { protocol: IPPROTO_MPTCP }),
  ];
  const found = new Held(records, true);
  const counts = (netns: number) =>
    (["tcp", "tcp6", "udp", "udp6"] as const).map((table) => found.count(netns, table));
  expect(counts(NETNS)).toEqual([1, 1, 1, 1]);
  expect(counts(1)).toEqual([1, 0, 0, 0]);
  expect(counts(2)).toEqual([0, 0, 0, 0]);
});

test("the one process that holds a socket is its holder, through whichever thread", () => {
  const records = [
    held(1, { tgid: 7, tid: 7 }),
    held(1, { tgid: 7, tid: 9 }),
    held(2, { tgid: 7 }),
    held(2, { tgid: 8 }),
    held(2, { tgid: 7 }),
  ];
  const found = new Held(records, true);
  expect(found.holderOf(1)).toEqual({ pid: 7, tid: 7 });
  expect(found.holderOf(2)).toBeNull();
  expect(found.holderOf(3)).toBeNull();
});

test("a row is what /proc/net/tcp says of the socket", () => {
  const found = new Held([held(11, { kind: EventKind.EVENT_OPEN })], true);
  expect(found.rows(NETNS, "tcp")).toMatchObject([
    {
      local: "0100007F",
      remote: "0200007F",
      localPort: 80,
      remotePort: 40_001,
      state: TcpState.TCP_STATE_ESTABLISHED,
      ino: 11,
    },
  ]);
  expect(found.rows(NETNS, "udp")).toEqual([]);
  expect([...found.told].map(({ netns }) => netns)).toEqual([NETNS]);
});
