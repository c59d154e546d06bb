import { describe, expect, test } from "bun:test";
import { isOver, parseRow, readRows } from "../../src/kernel/proc_net.ts";
import {
  ConnDirection,
  ConnFact,
  EventKind,
  eventSize,
  readEvent,
  writeEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { Census, directed } from "../../src/trace/tcp/census.ts";
import { Opens } from "../../src/trace/tcp/opens.ts";

const { DIRECTION_INCOMING, DIRECTION_OUTGOING, DIRECTION_UNKNOWN } = ConnDirection;
const UNSEEN = ConnFact.FACT_ESTABLISHED | ConnFact.FACT_UNSEEN_OPEN;
const NETNS = 4026531833;

interface Of {
  sk?: bigint;
  cookie?: number;
  at?: number;
  started?: number;
  ports?: [local: number, remote: number];
  direction?: number;
  flags?: number;
  pid?: number;
  sent?: number;
  netns?: number;
}

/** 127.0.0.1 to 127.0.0.1. */
function event(kind: keyof typeof EventKind, of: Of = {}): Event {
  const empty = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  const [sport, dport] = of.ports ?? [40_000, 80];
  const loopback = 0x0100_007fn;
  const ends = { ...empty.ends, saddr_l: loopback, daddr_l: loopback, sport, dport };
  return {
    ...empty,
    sk: of.sk ?? 0xffff_8880_0000_1000n,
    kind: EventKind[kind],
    flags: of.flags ?? UNSEEN,
    ends: { ...ends, metadata: 1 },
    owner: { ...empty.owner, pid: of.pid ?? 0 },
    netns: of.netns ?? NETNS,
    cookie: of.cookie ?? 1,
    timestamp: BigInt(of.at ?? 0),
    started_at: BigInt(of.started ?? 0),
    direction: of.direction ?? DIRECTION_UNKNOWN,
    sent_bytes: BigInt(of.sent ?? 0),
  };
}

describe("a connection older than the trace", () => {
  test("is shown, and its close with the owner and direction that /proc told", () => {
    const opens = new Opens();
    const open = event("EVENT_OPEN", { pid: 7, direction: DIRECTION_OUTGOING, sent: 10 });
    expect(opens.apply(open)).toBe(open);
    const close = opens.apply(event("EVENT_CLOSE", { pid: 8, sent: 31 }))!;
    expect(close.owner.pid).toBe(7);
    expect(close).toMatchObject({ direction: DIRECTION_OUTGOING, sent_bytes: 30n });
    expect(opens.size).toBe(0);
  });

  test("has one cookie and one beginning from its listing to its close, also if the kernel side gave it another meanwhile", () => {
    const opens = new Opens();
    opens.apply(event("EVENT_OPEN", { cookie: 1, started: 10 }));
    expect(opens.apply(event("EVENT_ACCEPT", { cookie: 2, started: 20 }))).toBeNull();
    const close = opens.apply(event("EVENT_CLOSE", { cookie: 2, started: 20 }));
    expect(close).toMatchObject({ cookie: 1, started_at: 10n });
  });

  test("keeps the process that closes it where /proc told none", () => {
    const opens = new Opens();
    opens.apply(event("EVENT_OPEN"));
    expect(opens.apply(event("EVENT_CLOSE", { pid: 8 }))!.owner.pid).toBe(8);
  });

  test("is believed its counters more than its ports", () => {
    const opens = new Opens();
    opens.apply(event("EVENT_OPEN", { direction: DIRECTION_OUTGOING }));
    const close = event("EVENT_CLOSE", { direction: DIRECTION_INCOMING, sent: 5 });
    expect(opens.apply(close)!).toMatchObject({
      direction: DIRECTION_INCOMING,
      sent_bytes: 5n,
    });
  });

  test("that is listed twice is shown once", () => {
    const opens = new Opens();
    opens.apply(event("EVENT_OPEN"));
    expect(opens.apply(event("EVENT_OPEN", { cookie: 2 }))).toBeNull();
  });

  test("that is closed before it could be listed is a close alone", () => {
    const opens = new Opens();
    expect(opens.apply(event("EVENT_CLOSE"))).not.toBeNull();
    expect(opens.apply(event("EVENT_OPEN", { cookie: 2 }))).toBeNull();
    // The entry that the listing made ends with the sock.
    expect(opens.apply(event("EVENT_CLOSE", { cookie: 2 }))).toBeNull();
  });

  test.each([
    ["before", [4, 5]],
    ["after", [5, 4]],
  ])("that begins in sight and is listed just %s its close is not listed", (_, [open, close]) => {
    const opens = new Opens();
    const seen = { cookie: 3, flags: ConnFact.FACT_ESTABLISHED };
    opens.apply(event("EVENT_ACCEPT", { ...seen, at: 1 }));
    const later = [
      event("EVENT_OPEN", { cookie: 4, at: open! }),
      event("EVENT_CLOSE", { ...seen, at: close! }),
    ].sort((a, b) => Number(a.timestamp - b.timestamp));
    const told = later.flatMap((each) => opens.apply(each) ?? []);
    expect(told.map(({ kind }) => kind)).toEqual([EventKind.EVENT_CLOSE]);
    expect(opens.apply(event("EVENT_CLOSE", { cookie: 4, at: 9 }))).toBeNull();
  });

  test("whose close began just before it was listed is closed once", () => {
    const opens = new Opens();
    expect(opens.apply(event("EVENT_OPEN", { cookie: 2 }))).not.toBeNull();
    expect(opens.apply(event("EVENT_CLOSE", { cookie: 1 }))).not.toBeNull();
    expect(opens.apply(event("EVENT_CLOSE", { cookie: 2 }))).toBeNull();
  });

  test("whose sock carried the next one before its listing was told is closed once", () => {
    const opens = new Opens();
    const next = { ports: [40_001, 80] as [number, number], cookie: 9, flags: 0 };
    opens.apply(event("EVENT_ACCEPT", { cookie: 2, flags: 0, at: 1 }));
    opens.apply(event("EVENT_CLOSE", { cookie: 2, flags: 0, at: 2 }));
    for (const kind of ["EVENT_ACCEPT", "EVENT_CLOSE"] as const) {
      const one = event(kind, { ...next, at: 4 });
      expect(opens.apply(one)).toBe(one);
    }
    expect(opens.apply(event("EVENT_OPEN", { cookie: 3, at: 3 }))).toBeNull();
    expect(opens.apply(event("EVENT_CLOSE", { cookie: 3, at: 5 }))).toBeNull();
  });

  test("whose accept was under way when it was listed is not accepted a second time", () => {
    const opens = new Opens();
    opens.apply(event("EVENT_OPEN"));
    const accept = { cookie: 3, pid: 9, direction: DIRECTION_INCOMING, flags: 5 };
    expect(opens.apply(event("EVENT_ACCEPT", accept))).toBeNull();
    const close = opens.apply(event("EVENT_CLOSE", { ...accept, sent: 5 }))!;
    expect(close.owner.pid).toBe(9);
    expect(close).toMatchObject({
      direction: DIRECTION_INCOMING,
      sent_bytes: 5n,
    });
    // Its beginning was before the trace all the same.
    expect(close.flags & ConnFact.FACT_UNSEEN_OPEN).not.toBe(0);
  });

  test("is another one than the next on the same sock", () => {
    const opens = new Opens();
    opens.apply(event("EVENT_CLOSE"));
    const next = event("EVENT_OPEN", { cookie: 2, ports: [40_001, 80] });
    expect(opens.apply(next)).toBe(next);
    const later = event("EVENT_CONNECT", { cookie: 4, ports: [40_002, 80], flags: 1 });
    expect(opens.apply(later)).toBe(later);
    const close = event("EVENT_CLOSE", { cookie: 4, ports: [40_002, 80], flags: 1 });
    expect(opens.apply(close)).toBe(close);
  });
});

test("a SYN that was sent is no byte, and none is taken off twice", () => {
  const close = event("EVENT_CLOSE", { sent: 11 });
  const outgoing = directed(close, DIRECTION_OUTGOING);
  expect(outgoing.sent_bytes).toBe(10n);
  expect(directed(outgoing, DIRECTION_OUTGOING)).toBe(outgoing);
  expect(directed(close, DIRECTION_INCOMING).sent_bytes).toBe(11n);
});

describe("what /proc/net/tcp tells", () => {
  const row = (local: string, remote: string, state: string, ino: number) =>
    parseRow(
      `   1: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${ino} 1 0000000058c478b1 20 4 30 10 -1`,
    )!;

  test("a line is read as the kernel writes it", () => {
    expect(row("0100007F:1F90", "0100007F:9C40", "01", 1592)).toEqual({
      local: "0100007F",
      localPort: 8080,
      remote: "0100007F",
      remotePort: 40_000,
      state: 1,
      ino: 1592,
    });
    const mapped = "0000000000000000FFFF00000100007F";
    expect(row(`${mapped}:0050`, `${mapped}:9C40`, "01", 7).local).toBe("0100007F");
    expect(parseRow("  sl  local_address rem_address   st tx_queue")).toBeNull();
  });

  test("a connection that is over is told by its state alone", () => {
    const line = (state: string) =>
      `   6: 0100007F:0006 0100007F:0006 ${state} 00000006:00000006 06:00000006 00000006     6        6 6 6 0000000000000006 6 6 6 6 6`;
    expect(isOver(line("06"))).toBe(true);
    for (const state of ["01", "05", "0A", "0C"]) expect(isOver(line(state))).toBe(false);
    expect(isOver("  sl  local_address rem_address   st tx_queue")).toBe(false);
  });

  test("this machine's lines are all understood", () => {
    for (const { localPort, state } of readRows("/proc/net/tcp")) {
      expect(localPort).toBeLessThan(65_536);
      expect(state).toBeLessThan(13);
    }
  });

  test("a listener's port is the incoming end, here and at the other end", () => {
    const census = new Census();
    census.add(NETNS, [
      row("00000000:9C40", "00000000:0000", "0A", 1),
      row("0100007F:9C40", "0100007F:9C41", "01", 2),
      row("0100007F:9C41", "0100007F:9C40", "01", 3),
    ]);
    census.setOwners(
      new Map([
        [2, { ...event("EVENT_OPEN").owner, pid: 22, comm: Buffer.from("server"), cgroup_id: 55n }],
      ]),
    );
    const server = census.describe(event("EVENT_OPEN", { ports: [40_000, 40_001], sent: 5 }));
    expect(server).toMatchObject({
      direction: DIRECTION_INCOMING,
      sent_bytes: 5n,
    });
    expect(server.owner.pid).toBe(22);
    const client = census.describe(event("EVENT_OPEN", { ports: [40_001, 40_000], sent: 5 }));
    expect(client).toMatchObject({
      direction: DIRECTION_OUTGOING,
      sent_bytes: 4n,
    });
    expect(client.owner.pid).toBe(0);
  });

  test("a port is listened on in its own network namespace only", () => {
    const census = new Census();
    census.add(NETNS, [row("00000000:1F90", "00000000:0000", "0A", 1)]);
    census.add(5, []);
    const of = { ports: [8080, 700] as [number, number] };
    const here = census.describe(event("EVENT_OPEN", of));
    expect(here.direction).toBe(DIRECTION_INCOMING);
    const there = census.describe(event("EVENT_OPEN", { ...of, netns: 5 }));
    expect(there.direction).toBe(DIRECTION_UNKNOWN);
    const nowhere = census.describe(event("EVENT_OPEN", { ...of, netns: 6 }));
    expect(nowhere.direction).toBe(DIRECTION_UNKNOWN);
  });
});

test("a second entry of what has been told takes the records of its own sock alone off the short way", () => {
  const opens = new Opens();
  const concerns = (sk: bigint) => {
    const view = new DataView(new ArrayBuffer(eventSize));
    writeEvent(view, 0, event("EVENT_CONNECT", { sk, cookie: 9, ports: [40_001, 81] }));
    return opens.concern(view, 0);
  };
  const [listed, other] = [0xffff_8880_0000_1000n, 0xffff_8880_0000_2000n];
  expect(opens.apply(event("EVENT_CLOSE", { sk: listed, cookie: 1 }))).not.toBeNull();
  expect(opens.apply(event("EVENT_OPEN", { sk: listed, cookie: 2 }))).toBeNull();
  opens.settle();
  expect([concerns(listed), concerns(other)]).toEqual([true, false]);
  expect(opens.apply(event("EVENT_CLOSE", { sk: listed, cookie: 2 }))).toBeNull();
  expect(concerns(listed)).toBe(false);
});
