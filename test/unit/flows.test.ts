/** What is shown of UDP flows adds up to what the kernel counted, in whatever order things happen and whatever is lost. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  ConnFact,
  ConnFlags,
  EventKind,
  type Event,
  type Flow,
} from "../../src/record/layout.gen.ts";
import { Flows, type FlowSource, type ShownFlow } from "../../src/trace/flows.ts";

const SECOND = 1_000_000_000n;
const timeouts = { silentNs: 30n * SECOND, assuredNs: 120n * SECOND };

/** The kernel's side, as bpf/udp.h has it: two maps, and events that may be lost on their way. */
class Kernel implements FlowSource {
  now = 1_000n * SECOND;
  readonly events: Event[] = [];
  readonly socks = new Map<bigint, Flow>();
  readonly others = new Map<string, Flow>();
  /** What every datagram has added, by direction. */
  readonly counted = { sent: 0n, received: 0n, packetsSent: 0n, packetsReceived: 0n };
  #cookie = 0;

  datagram(sk: bigint, dport: number, bytes: bigint, received: boolean): void {
    this.now += 1n;
    const first = this.socks.get(sk);
    const flow =
      first?.event.conn.tup.dport === dport ? first : first && this.others.get(keyOf(first, dport));
    if (flow) this.#add(flow, bytes, received);
    else this.#begin(sk, dport, bytes, received, first);
    this.counted[received ? "received" : "sent"] += bytes;
    this.counted[received ? "packetsReceived" : "packetsSent"] += 1n;
  }

  destroy(sk: bigint): void {
    const first = this.socks.get(sk);
    if (!first) return;
    this.now += 1n;
    this.socks.delete(sk);
    const close = structuredClone(first.event);
    const stats = close.conn.conn_stats;
    close.kind = EventKind.EVENT_UDP_CLOSE;
    stats.duration = stats.timestamp - stats.duration;
    stats.timestamp = this.now;
    stats.sent_packets = Number(first.sent_packets & 0xffff_ffffn);
    stats.recv_packets = Number(first.recv_packets & 0xffff_ffffn);
    close.conn.tcp_stats.rtt = Number(first.sent_packets >> 32n);
    close.conn.tcp_stats.rtt_var = Number(first.recv_packets >> 32n);
    this.events.push(close);
  }

  dump = (): Flow[] => structuredClone([...this.others.values(), ...this.socks.values()]);

  take = (event: Event): Flow | null => {
    const key = `${event.sk} ${event.conn.conn_stats.cookie} ${event.conn.tup.dport}`;
    const flow = this.others.get(key) ?? null;
    this.others.delete(key);
    return flow;
  };

  lookAfter = (): void => {};

  drain = (): Event[] => this.events.splice(0);

  #begin(sk: bigint, dport: number, bytes: bigint, received: boolean, first?: Flow): void {
    const cookie = first?.event.conn.conn_stats.cookie ?? ++this.#cookie;
    const flow = flowOf(sk, cookie, dport, this.now, first === undefined);
    flow.event.conn.conn_stats.direction = received ? 1 : 2;
    this.#add(flow, bytes, received);
    if (first) this.others.set(keyOf(first, dport), flow);
    else this.socks.set(sk, flow);
    this.events.push(structuredClone(flow.event));
  }

  #add(flow: Flow, bytes: bigint, received: boolean): void {
    const stats = flow.event.conn.conn_stats;
    const both = ConnFlags.CONN_L_INIT | ConnFlags.CONN_R_INIT;
    if ((stats.flags & both) === both) stats.flags |= ConnFlags.CONN_ASSURED;
    stats.flags |= received ? ConnFlags.CONN_R_INIT : ConnFlags.CONN_L_INIT;
    stats.timestamp = this.now;
    if (received) {
      stats.recv_bytes += bytes;
      flow.recv_packets += 1n;
    } else {
      stats.sent_bytes += bytes;
      flow.sent_packets += 1n;
    }
  }
}

const keyOf = ({ event }: Flow, dport: number) =>
  `${event.sk} ${event.conn.conn_stats.cookie} ${dport}`;

function flowOf(sk: bigint, cookie: number, dport: number, now: bigint, first: boolean): Flow {
  const tup = { saddr_h: 0n, saddr_l: 1n, daddr_h: 0n, daddr_l: 2n, sport: Number(sk), dport };
  const event: Event = {
    sk,
    conn: {
      tup: { ...tup, netns: 1, pid: 7, metadata: 0 },
      tcp_stats: { rtt: 0, rtt_var: 0, retransmits: 0, state_transitions: 0, failure_reason: 0 },
      conn_stats: {
        sent_bytes: 0n,
        recv_bytes: 0n,
        sent_packets: 0,
        recv_packets: 0,
        timestamp: now,
        duration: now,
        cookie,
        protocol_stack: { api: 0, application: 0, encryption: 0, flags: 0 },
        flags: 0,
        direction: 0,
      },
    },
    comm: new Uint8Array(16),
    kind: EventKind.EVENT_UDP_OPEN,
    flags: first ? ConnFact.FACT_FIRST_FLOW : 0,
    uid: 0,
    owned_at: 0,
    cgroup_id: 0n,
    program: 0n,
  };
  return { event, sent_packets: 0n, recv_packets: 0n, socket_ino: 0n };
}

interface Rig {
  kernel: Kernel;
  flows: Flows;
  /** One poll of the tool; with `lose`, nothing of what was sent arrives. */
  poll(lose?: boolean): ShownFlow[];
}

function rig(): Rig {
  const kernel = new Kernel();
  const flows = new Flows(kernel, timeouts);
  const poll = (lose = false): ShownFlow[] => {
    const events = kernel.drain();
    const shown = lose ? [] : events.flatMap((event) => flows.event(event) ?? []);
    return [...shown, ...flows.tick(kernel.now)];
  };
  return { kernel, flows, poll };
}

const lines = (shown: ShownFlow[]) =>
  shown.map(({ kind, event: { conn } }) => ({
    kind,
    dport: conn.tup.dport,
    sent: conn.conn_stats.sent_bytes,
    received: conn.conn_stats.recv_bytes,
  }));

describe("a flow", () => {
  test("opens with its first datagram and closes with its socket", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    expect(lines(poll())).toEqual([{ kind: "open", dport: 53, sent: 10n, received: 0n }]);
    kernel.datagram(1n, 53, 20n, true);
    kernel.destroy(1n);
    expect(lines(poll())).toEqual([{ kind: "close", dport: 53, sent: 10n, received: 20n }]);
  });

  test("that is not its socket's first closes with it too", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    kernel.datagram(1n, 54, 20n, false);
    kernel.destroy(1n);
    expect(lines(poll())).toEqual([
      { kind: "open", dport: 53, sent: 10n, received: 0n },
      { kind: "open", dport: 54, sent: 20n, received: 0n },
      { kind: "close", dport: 53, sent: 10n, received: 0n },
      { kind: "close", dport: 54, sent: 20n, received: 0n },
    ]);
    expect(kernel.others.size).toBe(0);
  });

  test("of the next socket at the same address is another", () => {
    const { kernel, poll } = rig();
    for (const bytes of [10n, 20n]) {
      kernel.datagram(1n, 53, bytes, false);
      kernel.destroy(1n);
    }
    const closes = lines(poll()).filter(({ kind }) => kind === "close");
    expect(closes.map(({ sent }) => sent)).toEqual([10n, 20n]);
  });

  test.each([
    [53, "first"],
    [54, "other"],
  ])("to port %d, its socket's %s, is over when it is silent, not before", (dport) => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 1n, false);
    if (dport === 54) kernel.datagram(1n, 54, 2n, false);
    poll();
    kernel.now += 29n * SECOND;
    if (dport === 54) kernel.datagram(1n, 53, 1n, false);
    expect(poll()).toEqual([]);
    kernel.now += 2n * SECOND;
    const shown = lines(poll());
    expect(shown.map(({ kind, dport: port }) => [kind, port])).toEqual([["close", dport]]);
    expect(lines(poll())).toEqual([]);
  });

  test("heard from both ends, and from one again, has the longer time", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 1n, false);
    kernel.datagram(1n, 53, 1n, true);
    kernel.datagram(1n, 53, 1n, false);
    poll();
    kernel.now += 119n * SECOND;
    expect(poll()).toEqual([]);
    kernel.now += 2n * SECOND;
    expect(lines(poll())).toHaveLength(1);
  });

  test("that wakes after its close is a new record with what came since, its length unknown", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    poll();
    kernel.now += 31n * SECOND;
    poll();
    kernel.datagram(1n, 53, 20n, false);
    kernel.destroy(1n);
    const shown = poll();
    expect(lines(shown).map(({ kind }) => kind)).toEqual(["open", "close"]);
    expect(lines(shown)[1]!.sent).toBe(20n);
    expect(shown[1]!.event.conn.conn_stats.sent_packets).toBe(1);
    expect(shown[1]!.event.flags & ConnFact.FACT_UNSEEN_OPEN).not.toBe(0);
  });

  test("whose socket closes after its own close is not told again", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    poll();
    kernel.now += 31n * SECOND;
    poll();
    kernel.destroy(1n);
    expect(poll()).toEqual([]);
  });

  test("counts packets beyond 32 bits", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    kernel.socks.get(1n)!.sent_packets = 2n ** 33n + 5n;
    kernel.destroy(1n);
    const { conn } = poll()[1]!.event;
    expect([conn.conn_stats.sent_packets, conn.tcp_stats.rtt]).toEqual([5, 2]);
  });
});

describe("when events are lost", () => {
  test("a flow is found in the map", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    kernel.datagram(1n, 54, 20n, false);
    expect(lines(poll(true)).map(({ kind }) => kind)).toEqual(["open", "open"]);
  });

  test("the end of a socket is noticed: what is in the map is told, what is not is unknown", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    kernel.datagram(1n, 54, 20n, false);
    poll();
    kernel.destroy(1n);
    kernel.now += 5n * SECOND;
    expect(poll(true)).toEqual([]);
    kernel.now += 5n * SECOND;
    const [first, other] = poll();
    expect(first!.event.flags & ConnFact.FACT_TOTALS_LOST).not.toBe(0);
    expect(lines([other!])).toEqual([{ kind: "close", dport: 54, sent: 20n, received: 0n }]);
    expect(kernel.others.size).toBe(0);
  });

  test("the end of a socket of which nothing was known is told all the same", () => {
    const { kernel, poll } = rig();
    poll();
    kernel.datagram(1n, 53, 10n, false);
    kernel.drain();
    kernel.destroy(1n);
    expect(lines(poll())).toEqual([{ kind: "close", dport: 53, sent: 10n, received: 0n }]);
  });
});

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("datagram" as const),
      sk: fc.bigInt({ min: 1n, max: 3n }),
      dport: fc.integer({ min: 1, max: 4 }),
      bytes: fc.bigInt({ min: 0n, max: 1000n }),
      received: fc.boolean(),
    }),
  },
  fc.record({ do: fc.constant("destroy" as const), sk: fc.bigInt({ min: 1n, max: 3n }) }),
  fc.record({ do: fc.constant("poll" as const) }),
  fc.record({
    do: fc.constant("wait" as const),
    seconds: fc.constantFrom(1n, 10n, 31n, 121n),
  }),
);

test("any interleaving of datagrams, closes, waits and polls is shown with exact sums, opens and closes in turn", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { kernel, poll } = rig();
      const shown: ShownFlow[] = [];
      for (const now of steps) {
        if (now.do === "datagram") kernel.datagram(now.sk, now.dport, now.bytes, now.received);
        else if (now.do === "destroy") kernel.destroy(now.sk);
        else if (now.do === "wait") kernel.now += now.seconds * SECOND;
        else shown.push(...poll());
      }
      for (const sk of [1n, 2n, 3n]) kernel.destroy(sk);
      kernel.now += SECOND * 5n;
      shown.push(...poll());
      const closes = shown.filter(({ kind }) => kind === "close").map(({ event }) => event.conn);
      const sum = (of: (conn: Event["conn"]) => bigint) => closes.reduce((s, c) => s + of(c), 0n);
      expect({
        sent: sum((c) => c.conn_stats.sent_bytes),
        received: sum((c) => c.conn_stats.recv_bytes),
        packetsSent: sum((c) => BigInt(c.conn_stats.sent_packets)),
        packetsReceived: sum((c) => BigInt(c.conn_stats.recv_packets)),
      }).toEqual(kernel.counted);
      expect(kernel.others.size).toBe(0);
      expectAlternation(shown);
    }),
    { numRuns: 500 },
  );
});

test("whatever is lost, every flow that was opened is closed, and the maps are empty in the end", () => {
  const lossy = fc.tuple(step, fc.boolean());
  fc.assert(
    fc.property(fc.array(lossy, { maxLength: 60 }), (steps) => {
      const { kernel, poll } = rig();
      const shown: ShownFlow[] = [];
      for (const [now, lose] of steps) {
        if (now.do === "datagram") kernel.datagram(now.sk, now.dport, now.bytes, now.received);
        else if (now.do === "destroy") kernel.destroy(now.sk);
        else if (now.do === "wait") kernel.now += now.seconds * SECOND;
        else shown.push(...poll(lose));
      }
      for (const sk of [1n, 2n, 3n]) kernel.destroy(sk);
      for (let i = 0; i < 3; i++) {
        kernel.now += SECOND * 5n;
        shown.push(...poll());
      }
      expect(kernel.others.size).toBe(0);
      const count = (kind: string) => shown.filter((line) => line.kind === kind).length;
      expect(count("close")).toBeGreaterThanOrEqual(count("open"));
    }),
    { numRuns: 500 },
  );
});

// --- internal ---

function expectAlternation(shown: ShownFlow[]): void {
  const open = new Set<string>();
  for (const { kind, event } of shown) {
    const key = `${event.sk} ${event.conn.conn_stats.cookie} ${event.conn.tup.dport}`;
    expect(open.has(key)).toBe(kind === "close");
    if (kind === "open") open.add(key);
    else open.delete(key);
  }
  expect(open.size).toBe(0);
}
