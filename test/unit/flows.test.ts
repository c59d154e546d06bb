/** The shown counts of UDP flows add up to the kernel's, in any order of events and with any loss. */
import { describe, expect, test } from "bun:test";
import { ConnFact, EventKind, type Event } from "../../src/record/layout.gen.ts";
import type { ShownFlow } from "../../src/trace/udp/flows.ts";
import { rig, SECOND, step } from "./drive/udp_kernel.ts";
import { fc, runs } from "./drive/random.ts";

const lines = (shown: ShownFlow[]) =>
  shown.map(({ kind, event }) => ({
    kind,
    dport: event.ends.dport,
    sent: event.sent_bytes,
    received: event.recv_bytes,
  }));

test("the ends of a socket's flows are made one by one as they are shown, however many there are", () => {
  const { kernel, flows, poll } = rig();
  for (let dport = 1; dport <= 500; dport++) kernel.datagram(1n, dport, 10n, false);
  poll();
  kernel.destroy(1n);
  const left: number[] = [];
  for (const event of kernel.drain())
    for (const _ of flows.event(event)!) left.push(kernel.others.size);
  expect(left).toEqual(Array.from({ length: 500 }, (_, i) => 499 - i));
});

describe("a flow", () => {
  test("opens with its first datagram and closes with its socket", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    expect(lines(poll())).toEqual([{ kind: "begin", dport: 53, sent: 10n, received: 0n }]);
    kernel.datagram(1n, 53, 20n, true);
    kernel.destroy(1n);
    expect(lines(poll())).toEqual([{ kind: "close", dport: 53, sent: 10n, received: 20n }]);
  });

  test("that begins between the drain and the look at the maps is told by its event, in the next poll", () => {
    const { kernel, flows, poll } = rig();
    poll();
    for (const dport of [53, 54]) {
      kernel.now += 20n * SECOND;
      kernel.datagram(1n, dport, 10n, false);
      expect([...flows.tick(kernel.now)]).toEqual([]);
      const begun = kernel.events.at(-1)!;
      begun.owner.pid = 8;
      expect(poll().map(({ event }) => [event.ends.dport, event.owner.pid])).toEqual([[dport, 8]]);
    }
  });

  test("that is not its socket's first closes with it too", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    kernel.datagram(1n, 54, 20n, false);
    kernel.destroy(1n);
    expect(lines(poll())).toEqual([
      { kind: "begin", dport: 53, sent: 10n, received: 0n },
      { kind: "begin", dport: 54, sent: 20n, received: 0n },
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
    // Each record has its own beginning, so its own id.
    const starts = shown.map(({ event }) => event.started_at);
    expect(starts).toEqual([kernel.now, kernel.now]);
    expect(lines(shown).map(({ kind }) => kind)).toEqual(["begin", "close"]);
    expect(lines(shown)[1]!.sent).toBe(20n);
    expect(shown[1]!.event.sent_packets).toBe(1n);
    expect(shown[1]!.event.flags & ConnFact.FACT_UNSEEN_OPEN).not.toBe(0);
  });

  test("that fails is told of each reason once, and goes on", () => {
    const { kernel, flows, poll } = rig();
    kernel.datagram(1n, 53, 1n, false);
    poll();
    const { event } = kernel.socks.get(1n)!;
    const fail = (failure_reason: number) =>
      [...flows.event({ ...event, kind: EventKind.EVENT_UDP_FAIL, failure_reason })!].map(
        ({ kind }) => kind,
      );
    expect([111, 113, 111, 113].map(fail)).toEqual([["fail"], ["fail"], [], []]);
    kernel.destroy(1n);
    expect(lines(poll()).map(({ kind }) => kind)).toEqual(["close"]);
  });

  test("whose beginning was lost begins before its failure", () => {
    const { kernel, flows } = rig();
    kernel.datagram(1n, 53, 1n, false);
    const { event } = kernel.socks.get(1n)!;
    const failed = { ...event, kind: EventKind.EVENT_UDP_FAIL, failure_reason: 111 };
    expect([...flows.event(failed)!].map(({ kind }) => kind)).toEqual(["begin", "fail"]);
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
    kernel.socks.get(1n)!.event.sent_packets = 2n ** 33n + 5n;
    kernel.destroy(1n);
    expect(poll()[1]!.event.sent_packets).toBe(2n ** 33n + 5n);
  });
});

test("the maps are looked at every second while there are flows, and rarely while there are none", () => {
  const { kernel, flows, poll } = rig();
  poll();
  expect(flows.dueMs(kernel.now)).toBe(15_000);
  kernel.datagram(1n, 53, 10n, false);
  poll();
  expect(flows.dueMs(kernel.now)).toBe(1000);
  kernel.now += SECOND;
  expect(flows.dueMs(kernel.now)).toBe(0);
});

describe("a sample", () => {
  const told = (shown: ShownFlow[]) =>
    lines(shown).map(({ kind, ...line }) => [kind, line.dport, line.sent, line.received]);

  test("shows what a flow has moved so far, its first datagram too, and nothing of one that stands still", () => {
    const { kernel, flows, poll, sample } = rig();
    for (const dport of [53, 54]) kernel.datagram(1n, dport, 10n, false);
    poll();
    expect(told(sample())).toEqual([
      ["sample", 54, 10n, 0n],
      ["sample", 53, 10n, 0n],
    ]);
    expect(sample()).toEqual([]);
    kernel.datagram(1n, 54, 7n, true);
    expect(told(sample())).toEqual([["sample", 54, 10n, 7n]]);
    kernel.now += 20n * SECOND;
    expect(sample()).toEqual([]);
    const all = flows.sample(kernel.now, true);
    expect(all.map(({ sent_bytes }) => sent_bytes)).toEqual([10n, 10n]);
    kernel.datagram(1n, 53, 0n, false);
    const [line] = sample();
    expect(line!.event.sent_packets).toBe(2n);
    expect(line!.event.kind).toBe(EventKind.EVENT_UDP_SAMPLE);
  });

  test("of a flow whose beginning is still on its way comes next time, however late", () => {
    const { kernel, flows, sample } = rig();
    sample();
    kernel.datagram(1n, 53, 10n, false);
    const begun = kernel.drain();
    kernel.now += 5n * SECOND;
    expect(flows.sample(kernel.now)).toEqual([]);
    for (const event of begun) Array.from(flows.event(event) ?? []);
    kernel.now += 5n * SECOND;
    expect(told(sample())).toEqual([["sample", 53, 10n, 0n]]);
  });

  test("that is older than the close is not shown after it", () => {
    const { kernel, flows, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    poll();
    const sampled = flows.sample(kernel.now);
    expect(sampled).toHaveLength(1);
    kernel.now += 31n * SECOND;
    expect(told(poll())).toEqual([["close", 53, 10n, 0n]]);
    expect(sampled.flatMap((event) => [...(flows.event(event) ?? [])])).toEqual([]);
  });

  test("of a flow that woke counts from its waking on", () => {
    const { kernel, poll, sample } = rig();
    kernel.datagram(1n, 53, 10n, false);
    poll();
    kernel.now += 31n * SECOND;
    poll();
    kernel.datagram(1n, 53, 20n, false);
    kernel.now += SECOND;
    expect(sample().map(({ event }) => isSample(event))).toEqual([false]);
    expect(told(sample())).toEqual([["sample", 53, 20n, 0n]]);
  });
});

test("the direction that a flow was given at its beginning is its close's too", () => {
  const { kernel, poll } = rig();
  // Both sockets are bound to port 5, which no kernel chooses.
  kernel.datagram(5n, 40_000, 1n, true);
  kernel.datagram(6n, 40_001, 1n, false);
  for (const flow of kernel.socks.values()) flow.event.ends.sport = 5;
  for (const { ends } of kernel.events) ends.sport = 5;
  kernel.destroy(6n);
  kernel.destroy(5n);
  const shown = poll().map(({ kind, event }) => [kind, event.sk, event.direction]);
  expect(shown).toEqual([
    ["begin", 5n, 1],
    ["begin", 6n, 1],
    ["close", 6n, 1],
    ["close", 5n, 1],
  ]);
});

describe("when events are lost", () => {
  test("a flow is found in the map", () => {
    const { kernel, poll } = rig();
    kernel.datagram(1n, 53, 10n, false);
    kernel.datagram(1n, 54, 20n, false);
    expect(poll(true)).toEqual([]);
    kernel.now += SECOND;
    expect(lines(poll()).map(({ kind }) => kind)).toEqual(["begin", "begin"]);
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

test("any interleaving of datagrams, closes, waits, polls and samples is shown with exact sums, opens and closes in turn", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const { kernel, poll, sample } = rig();
      const shown: ShownFlow[] = [];
      for (const now of steps) {
        if (now.do === "datagram") kernel.datagram(now.sk, now.dport, now.bytes, now.received);
        else if (now.do === "destroy") kernel.destroy(now.sk);
        else if (now.do === "wait") kernel.now += now.seconds * SECOND;
        else shown.push(...(now.do === "poll" ? poll() : sample()));
      }
      for (const sk of [1n, 2n, 3n]) kernel.destroy(sk);
      kernel.now += SECOND * 5n;
      shown.push(...poll());
      const closes = shown.filter(({ kind }) => kind === "close").map(({ event }) => event);
      const sum = (of: (event: Event) => bigint) => closes.reduce((s, c) => s + of(c), 0n);
      expect({
        sent: sum((c) => c.sent_bytes),
        received: sum((c) => c.recv_bytes),
        packetsSent: sum((c) => c.sent_packets),
        packetsReceived: sum((c) => c.recv_packets),
      }).toEqual(kernel.counted);
      expect(kernel.others.size).toBe(0);
      expectAlternation(shown);
    }),
    runs(500),
  );
});

test("whatever is lost, every flow that was opened is closed, and the maps are empty in the end", () => {
  const lossy = fc.tuple(step, fc.boolean());
  fc.assert(
    fc.property(fc.array(lossy, { maxLength: 60, size: "max" }), (steps) => {
      const { kernel, flows, poll, sample } = rig();
      const shown: ShownFlow[] = [];
      for (const [now, lose] of steps) {
        if (now.do === "datagram") kernel.datagram(now.sk, now.dport, now.bytes, now.received);
        else if (now.do === "destroy") kernel.destroy(now.sk);
        else if (now.do === "wait") kernel.now += now.seconds * SECOND;
        else shown.push(...(now.do === "poll" ? poll(lose) : sample(lose)));
      }
      for (const sk of [1n, 2n, 3n]) kernel.destroy(sk);
      // Where none is known, the maps are looked at after half of the shortest timeout; then twice more.
      for (let i = 0; i < 5; i++) {
        kernel.now += SECOND * 5n;
        shown.push(...poll());
      }
      expect(kernel.others.size).toBe(0);
      expect(flows.size).toBe(0);
      const begun = shown.filter(({ kind }) => kind === "begin");
      const closes = shown.filter(({ kind }) => kind === "close");
      expect(closes.length).toBeGreaterThanOrEqual(begun.length);
    }),
    runs(500),
  );
});

// --- internal ---

const isSample = ({ kind }: Event) => kind === EventKind.EVENT_UDP_SAMPLE;

/** Samples stand in between, and never tell more than the close, nor less than the sample before. */
function expectAlternation(shown: ShownFlow[]): void {
  const open = new Map<string, bigint>();
  for (const { kind, event } of shown) {
    const key = `${event.sk} ${event.cookie} ${event.ends.dport}`;
    const moved = event.sent_bytes + event.recv_bytes;
    if (kind === "close" || isSample(event)) expect(moved).toBeGreaterThanOrEqual(open.get(key)!);
    else expect(open.has(key)).toBe(false);
    if (kind === "close") open.delete(key);
    else open.set(key, isSample(event) ? moved : 0n);
  }
  expect(open.size).toBe(0);
}
