import { describe, expect, test } from "bun:test";
import type { EventKind, Totals } from "../../src/conn/event.ts";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { stackOf } from "../../src/protocols/stack.ts";
import { aggregate } from "../../src/state/aggregate.ts";
import type { Counters } from "../../src/state/counters.ts";
import { ConnectionState, type ConnectionDelta, type Deltas } from "../../src/state/state.ts";
import { allAttributes } from "./drive/attributes.ts";
import { fc, runs } from "./drive/random.ts";

const nothing: Totals = {
  bytesSent: 0n,
  bytesReceived: 0n,
  segsOut: 0,
  segsIn: 0,
  rttUs: 100,
  rttVarUs: 10,
  retransmits: 0,
  durationNs: 5n,
};

let clock = 0n;

function event(
  kind: EventKind,
  sent: bigint | null,
  more: Partial<TracedEvent & { totals: Totals }> = {},
): TracedEvent {
  return {
    kind,
    protocol: "tcp",
    atNs: ++clock,
    pid: 11,
    comm: "a",
    uid: 1000,
    cgroup: "/a",
    container: null,
    family: 4,
    direction: "outgoing",
    netns: 1,
    local: { address: "10.0.0.1", port: 40_000 },
    remote: { address: "10.0.0.2", port: 80 },
    cookie: 7,
    totals: { ...nothing, bytesSent: sent },
    ...more,
  };
}

/** As the events connect and accept come: with nothing counted. */
function opened(kind: "connect" | "accept", more: Partial<TracedEvent> = {}): TracedEvent {
  const { totals: _, ...rest } = event(kind, 0n, more);
  return rest;
}

const sentOf = (deltas: ConnectionDelta[]) => deltas.map(({ delta }) => delta.bytesSent);
const summary = ({ active, closed }: Deltas) => ({
  active: sentOf(active),
  closed: sentOf(closed),
});

function registered(...ids: string[]): ConnectionState {
  const state = new ConnectionState();
  for (const id of ids) state.register(id, 0);
  return state;
}

describe("a client", () => {
  test("is refused what it has not registered for", () => {
    const state = new ConnectionState();
    expect(() => state.take("a", 0)).toThrow('client "a": not registered');
    state.register("a", 0);
    expect(state.take("a", 0)).toEqual({ active: [], closed: [] });
    expect([state.remove("a"), state.remove("a")]).toEqual([true, false]);
    expect(() => state.take("a", 0)).toThrow("not registered");
  });

  test("gets no connection that ended before it registered, and each later one once", () => {
    const state = registered("early");
    state.observe([event("close", 5n)], 0);
    state.register("late", 0);
    state.observe([event("close", 3n, { cookie: 8 })], 0);
    expect(summary(state.take("late", 0))).toEqual({ active: [], closed: [3n] });
    expect(summary(state.take("early", 0))).toEqual({ active: [], closed: [5n, 3n] });
    expect(summary(state.take("late", 0))).toEqual({ active: [], closed: [] });
    expect(summary(state.take("early", 0))).toEqual({ active: [], closed: [] });
  });

  test("that registers again keeps what it was told", () => {
    const state = registered("a");
    state.observe([event("sample", 5n)], 0);
    state.take("a", 0);
    state.register("a", 1);
    state.observe([event("sample", 7n)], 1);
    expect(summary(state.take("a", 1))).toEqual({ active: [2n], closed: [] });
  });

  test("that has not asked for two minutes is removed; one that asks stays", () => {
    const state = registered("idle", "busy");
    state.take("busy", 60_000);
    state.observe([], 120_000);
    expect(state.counts().clients).toBe(2);
    state.observe([], 120_001);
    expect(state.counts()).toMatchObject({ clients: 1, expiredClients: 1n });
    expect(() => state.take("idle", 120_001)).toThrow("not registered");
    expect(state.take("busy", 180_000)).toEqual({ active: [], closed: [] });
    expect(() => state.take("busy", 300_001)).toThrow("not registered");
  });
});

describe("deltas", () => {
  test("each of two clients gets its own, at its own pace", () => {
    const state = registered("a", "b");
    state.observe([opened("connect"), event("sample", 10n)], 0);
    expect(summary(state.take("a", 0)).active).toEqual([10n]);
    state.observe([event("sample", 17n)], 0);
    expect(summary(state.take("b", 0)).active).toEqual([17n]);
    expect(summary(state.take("a", 0)).active).toEqual([7n]);
    state.observe([event("close", 20n)], 0);
    expect(summary(state.take("b", 0))).toEqual({ active: [], closed: [3n] });
    const [closed] = state.take("a", 0).closed;
    expect(closed).toMatchObject({ state: "closed", durationNs: 5n, cookie: 7 });
    expect(closed!.delta.bytesSent).toBe(3n);
    expect(closed!.total.bytesSent).toBe(20n);
  });

  test("are left out when nothing has moved", () => {
    const state = registered("a");
    state.observe([event("sample", 10n)], 0);
    expect(state.take("a", 0).active).toHaveLength(1);
    state.observe([event("sample", 10n)], 0);
    expect(state.take("a", 0).active).toEqual([]);
    state.observe([event("sample", 0n, { cookie: 9 })], 0);
    expect(state.take("a", 0).active).toEqual([]);
  });

  test("tell of an establishment and of an end once each, also where no byte moved", () => {
    const state = registered("a");
    state.observe([opened("connect")], 0);
    const [active] = state.take("a", 0).active;
    expect(active!.delta).toMatchObject({ established: 1, closed: 0, bytesSent: null });
    state.observe([event("close", 0n)], 0);
    const [closed] = state.take("a", 0).closed;
    expect(closed!.delta).toMatchObject({ established: 0, closed: 1, bytesSent: 0n });
    state.observe([event("close", 0n, { cookie: 8, totals: { ...nothing, durationNs: null } })], 0);
    // Older than the trace: it was not established during it.
    expect(state.take("a", 0).closed[0]!.delta).toMatchObject({ established: 0, closed: 1 });
  });

  test("of an attempt that failed carry its errno and no establishment", () => {
    const state = registered("a");
    const { totals: _, ...failed } = event("fail", 0n, { failure: 111 });
    state.observe([failed], 0);
    expect(state.take("a", 0).closed).toMatchObject([
      { state: "failed", failure: 111, delta: { established: 0, closed: 1 } },
    ]);
  });

  test("are never negative: the larger count stays and the smaller one is counted", () => {
    const state = registered("a");
    state.observe([event("sample", 10n)], 0);
    state.take("a", 0);
    state.observe([event("sample", 4n)], 0);
    expect(state.take("a", 0).active).toEqual([]);
    expect(state.counts().underflows).toBe(1n);
    state.observe([event("sample", 12n)], 0);
    expect(summary(state.take("a", 0)).active).toEqual([2n]);
  });

  test("do not multiply retransmits", () => {
    const state = registered("a");
    const sample = (retransmits: number) =>
      event("sample", 0n, { totals: { ...nothing, retransmits } });
    for (const retransmits of [1, 3, 3, 7]) state.observe([sample(retransmits)], 0);
    expect(state.take("a", 0).active[0]!.delta.retransmits).toBe(7);
    state.observe([sample(9)], 0);
    expect(state.take("a", 0).active[0]!.delta.retransmits).toBe(2);
  });

  test("of what is not known now are null, and made up for once it is known again", () => {
    const state = registered("a");
    state.observe([event("sample", 10n)], 0);
    state.take("a", 0);
    state.observe([event("sample", 15n), event("sample", null, { totals: unknown(3) })], 0);
    const [active] = state.take("a", 0).active;
    expect(active!.delta).toMatchObject({ bytesSent: null, segsOut: 3 });
    expect(active!.total.bytesSent).toBeNull();
    state.observe(
      [event("sample", 18n, { totals: { ...nothing, bytesSent: 18n, segsOut: 3 } })],
      0,
    );
    expect(state.take("a", 0).active[0]!.delta).toMatchObject({ bytesSent: 8n, segsOut: 0 });
  });

  function unknown(segsOut: number): Totals {
    return { ...nothing, bytesSent: null, segsOut };
  }
});

describe("ends", () => {
  test("told twice count once, for a client that has heard of it and for one that has not", () => {
    const state = registered("a", "b");
    state.observe([event("close", 9n)], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([9n]);
    state.observe([event("close", 9n)], 1);
    expect(summary(state.take("a", 1)).closed).toEqual([]);
    expect(summary(state.take("b", 1)).closed).toEqual([9n]);
    expect(state.counts().repeatedCloses).toBe(1n);
  });

  test("told twice with more the second time give the rest", () => {
    const state = registered("a", "b");
    state.observe([event("close", 9n)], 0);
    state.take("a", 0);
    state.observe([event("close", 11n)], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([2n]);
    expect(summary(state.take("b", 0)).closed).toEqual([11n]);
  });

  test("overtake a sample that was taken before them: it neither revives nor doubles", () => {
    const state = registered("a");
    const sample = event("sample", 6n);
    state.observe([event("close", 9n)], 0);
    state.observe([sample], 0);
    expect(summary(state.take("a", 0))).toEqual({ active: [], closed: [9n] });
    state.observe([sample], 0);
    expect(summary(state.take("a", 0))).toEqual({ active: [], closed: [] });
    expect(state.counts().open).toBe(0);
  });

  test("of connections between the same two ends, one after the other, are each told", () => {
    const state = registered("a");
    state.observe([event("close", 5n, { cookie: 1 }), event("close", 6n, { cookie: 2 })], 0);
    state.observe([event("sample", 7n, { cookie: 3 })], 0);
    const deltas = state.take("a", 0);
    expect(summary(deltas)).toEqual({ active: [7n], closed: [5n, 6n] });
    const [row] = aggregate([...deltas.active, ...deltas.closed]);
    expect(row).toMatchObject({ connections: 3, cookie: 3, delta: { bytesSent: 18n, closed: 2 } });
  });

  test("across a poll give the remainder", () => {
    const state = registered("a");
    state.observe([event("sample", 5n, { cookie: 1 })], 0);
    expect(summary(state.take("a", 0)).active).toEqual([5n]);
    state.observe([event("close", 8n, { cookie: 1 }), event("close", 2n, { cookie: 2 })], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([3n, 2n]);
  });

  test("of two connections with one cookie are two", () => {
    const state = registered("a");
    const other = { address: "10.0.0.3", port: 80 };
    state.observe([event("sample", 5n), event("sample", 50n, { remote: other })], 0);
    state.observe([event("close", 6n), event("close", 60n, { remote: other })], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([6n, 60n]);
    expect(state.counts().cookieCollisions).toBe(1n);
    // Both are forgotten in time, in either order.
    state.observe([], 70_000);
    state.observe([event("close", 6n)], 70_001);
    expect(state.counts().cookieCollisions).toBe(1n);
  });

  test("are forgotten after a minute, but not for a client that has yet to ask", () => {
    const state = registered("a");
    state.observe([event("sample", 5n)], 0);
    state.take("a", 0);
    state.observe([event("close", 8n)], 0);
    state.observe([], 61_000);
    expect(summary(state.take("a", 61_000)).closed).toEqual([3n]);
  });

  test("are not for a client that registered after them, also when they are told again with more", () => {
    const state = registered();
    state.observe([event("close", 5n)], 0);
    state.register("late", 0);
    state.observe([event("close", 9n)], 0);
    expect(state.take("late", 0).closed).toEqual([]);
  });

  test("told again without news take no place in a buffer", () => {
    const state = new ConnectionState({ maxEnded: 1 });
    state.register("a", 0);
    state.observe([event("close", 5n)], 0);
    state.take("a", 0);
    state.observe([event("close", 5n), event("close", 6n, { cookie: 8 })], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([6n]);
    expect(state.counts()).toMatchObject({ droppedEnds: 0n, droppedEmptyEnds: 0n });
  });

  test("leave nothing behind, whether they were told before they were forgotten, after, or never", () => {
    const state = new ConnectionState({ maxEnded: 3, clientIdleMs: Infinity });
    for (const id of ["a", "b"]) state.register(id, 0);
    const open = [1, 2, 3, 4, 5].map((cookie) => event("sample", 1n, { cookie }));
    state.observe(open, 0);
    for (const id of ["a", "b"]) state.take(id, 0);
    expect(state.counts().remembered).toBe(10);
    state.observe(
      open.map(({ cookie }) => event("close", cookie === 1 ? 1n : 2n, { cookie })),
      1,
    );
    state.take("a", 1);
    state.observe([], 70_000);
    expect(state.counts().remembered).toBeLessThanOrEqual(3);
    state.take("b", 70_000);
    expect(state.counts()).toMatchObject({ remembered: 0, open: 0 });
  });

  test("that waited until they were forgotten, and then had to make room, leave nothing behind", () => {
    const state = new ConnectionState({ maxEnded: 1, clientIdleMs: Infinity });
    state.register("a", 0);
    state.observe([event("sample", 1n)], 0);
    state.take("a", 0);
    state.observe([event("close", 1n)], 0);
    state.observe([], 70_000);
    expect(state.counts().remembered).toBe(1);
    const more = [8, 9].map((cookie) => event("close", 2n, { cookie }));
    state.observe(more, 70_000);
    expect(state.counts()).toMatchObject({ remembered: 0, droppedEmptyEnds: 1n, droppedEnds: 1n });
  });

  test("beyond the buffer are dropped and counted, empty ones first", () => {
    const state = new ConnectionState({ maxEnded: 3 });
    state.register("a", 0);
    const close = (cookie: number, sent: bigint) => event("close", sent, { cookie });
    state.observe([close(1, 0n), close(2, 7n), close(3, 0n), close(4, 9n), close(5, 0n)], 0);
    // The first empty one made room for the fourth, the fifth found none.
    expect(state.counts()).toMatchObject({ droppedEnds: 0n, droppedEmptyEnds: 2n });
    state.observe([close(6, 1n), close(7, 2n)], 0);
    expect(state.counts()).toMatchObject({ droppedEnds: 1n, droppedEmptyEnds: 3n });
    expect(summary(state.take("a", 0)).closed).toEqual([7n, 9n, 1n]);
    state.observe([close(8, 4n)], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([4n]);
  });

  test("that were lost leave no open connection behind, and are told all the same if they come late", () => {
    const state = registered("a");
    const open = event("sample", 5n, { cookie: 1 });
    state.observe([open, event("sample", 6n, { cookie: 2 })], 0);
    state.drop([open, open, event("sample", 0n, { cookie: 3 })], 0);
    expect(summary(state.take("a", 0))).toEqual({ active: [6n], closed: [] });
    expect(state.counts()).toMatchObject({ open: 1, vanished: 1n });
    state.observe([event("close", 9n, { cookie: 1 })], 0);
    expect(summary(state.take("a", 0))).toEqual({ active: [], closed: [9n] });
    expect(state.counts()).toMatchObject({ open: 1, repeatedCloses: 0n });
  });
});

describe("UDP flows", () => {
  const flow = (kind: EventKind, sent: bigint, port: number, more: Partial<TracedEvent> = {}) =>
    event(kind, sent, {
      protocol: "udp",
      remote: { address: "10.0.0.2", port },
      totals: { ...nothing, bytesSent: sent, segsOut: Number(sent) },
      ...more,
    });
  const begun = (port: number, more: Partial<TracedEvent> = {}) =>
    opened("connect", {
      kind: "begin",
      protocol: "udp",
      remote: { address: "10.0.0.2", port },
      ...more,
    });

  test("of one socket share its cookie, and are no collision", () => {
    const state = registered("a");
    const ports = [1, 2, 3];
    state.observe(
      ports.map((port) => begun(port)),
      0,
    );
    state.observe(
      ports.map((port) => flow("close", BigInt(port), port)),
      0,
    );
    expect(summary(state.take("a", 0)).closed).toEqual([1n, 2n, 3n]);
    expect(state.counts()).toMatchObject({ cookieCollisions: 0n, datagramsSent: 6n, open: 0 });
  });

  test("that were over for their silence and go on are told from 0 again", () => {
    const state = registered("a", "b");
    state.observe([begun(1), flow("close", 5n, 1)], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([5n]);
    state.observe([begun(1), flow("close", 3n, 1), flow("close", 2n, 1)], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([3n, 2n]);
    expect(summary(state.take("b", 0)).closed).toEqual([5n, 3n, 2n]);
    expect(state.counts()).toMatchObject({
      underflows: 0n,
      repeatedCloses: 0n,
      datagramsSent: 10n,
    });
    state.observe([], 70_000);
    expect(state.counts()).toMatchObject({ remembered: 0, open: 0 });
  });

  test("that went on before their end was told are told from 0 all the same", () => {
    const state = registered("a");
    const atNs = ++clock;
    state.observe([begun(1), flow("close", 5n, 1)], 0);
    state.observe([begun(1, { atNs }), flow("close", 3n, 1, { atNs })], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([5n, 3n]);
  });

  test("whose end is told twice count once", () => {
    const state = registered("a");
    const close = flow("close", 5n, 1);
    state.observe([begun(1), close, close], 0);
    expect(summary(state.take("a", 0)).closed).toEqual([5n]);
    expect(state.counts().repeatedCloses).toBe(1n);
  });
});

test("what became known of a connection stays known", () => {
  const state = registered("a");
  const nat = { local: null, remote: { address: "10.1.2.2", port: 8080 } };
  const application = stackOf(null, null, "tls");
  const tls = { version: "1.3", serverName: "example.com", alpn: null, alpnOffered: null };
  state.observe([opened("accept", { pid: null, comm: null, direction: "incoming" })], 0);
  state.observe(
    [
      event("sample", 1n, {
        pid: 12,
        comm: "b",
        ...allAttributes(7),
        direction: "unknown",
        nat,
        application,
        tls,
      }),
    ],
    0,
  );
  const last = { pid: null, comm: null, direction: "unknown", nat: null } as const;
  state.observe([event("close", 2n, last)], 0);
  expect(state.take("a", 0).closed[0]).toMatchObject({
    pid: 12,
    comm: "b",
    ...allAttributes(7),
    direction: "incoming",
    nat,
    application,
    tls,
  });
});

test("a translation that is not known is null, and one that is known not to be there false", () => {
  const state = registered("a");
  state.observe([event("close", 1n, { cookie: 1 }), event("close", 1n, { nat: false })], 0);
  expect(state.take("a", 0).closed.map(({ nat }) => nat)).toEqual([null, false]);
});

describe("an aggregate", () => {
  const delta = (
    more: Partial<ConnectionDelta>,
    bytesSent: bigint | null = 5n,
  ): ConnectionDelta => {
    const counters: Counters = { ...zero, bytesSent };
    return { ...base, total: counters, delta: counters, ...more };
  };
  const zero: Counters = {
    bytesSent: 0n,
    bytesReceived: 0n,
    segsOut: 0,
    segsIn: 0,
    retransmits: 1,
    established: 0,
    closed: 1,
  };
  const {
    kind: _kind,
    totals: _totals,
    application: _app,
    protocolSource: _source,
    tls: _tls,
    ...ends
  } = event("close", 0n);
  const unknown = {
    ...allAttributes(null),
    cgroup: null,
    container: null,
    nat: null,
    application: null,
    protocolSource: null,
    tls: null,
  };
  const base = {
    ...unknown,
    ...ends,
    state: "closed",
    durationNs: null,
    rttUs: null,
    rttVarUs: null,
  } as const;

  test("sums counters and averages round-trip times that are known", () => {
    const rows = aggregate([delta({ rttUs: 10 }), delta({ rttUs: 21 }), delta({ rttUs: null })]);
    expect(rows).toMatchObject([
      { connections: 3, rttUs: 16, rttVarUs: null, delta: { bytesSent: 15n, retransmits: 3 } },
    ]);
    expect(aggregate([delta({}), delta({}, null)])[0]!.delta.bytesSent).toBeNull();
    expect(aggregate([])).toEqual([]);
  });

  test("keeps apart what differs in process, direction, protocol, namespace or ends", () => {
    const others: Partial<ConnectionDelta>[] = [
      {},
      { pid: 12 },
      { direction: "incoming" },
      { protocol: "udp" },
      { netns: 2 },
      { remote: { address: "10.0.0.9", port: 80 } },
      { nat: false },
      { nat: { local: null, remote: { address: "10.1.2.2", port: 8080 } } },
      { nat: { local: null, remote: { address: "10.1.2.3", port: 8080 } } },
      { nat: { local: { address: "10.1.2.3", port: 8080 }, remote: null } },
    ];
    expect(aggregate(others.map((more) => delta(more)))).toHaveLength(others.length);
  });
});

/**
 * One connection's true counts only grow; what is observed of them arrives in any order and more than once, and clients
 * ask whenever they like. In the end each has been told the true total, once.
 */
test("any interleaving of samples, ends and polls gives every client the same totals", () => {
  const CONNECTIONS = 7;
  const CLIENTS = ["a", "b", "c"];
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant("move"), fc.nat(CONNECTIONS - 1), fc.nat(1000)) },
    { weight: 3, arbitrary: fc.tuple(fc.constant("sample"), fc.nat(CONNECTIONS - 1), fc.nat(3)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant("close"), fc.nat(CONNECTIONS - 1), fc.nat(3)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant("drain"), fc.nat(5), fc.nat(9)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant("poll"), fc.nat(CLIENTS.length - 1), fc.nat(0)) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps) => {
      const state = registered(...CLIENTS);
      const truth = Array.from({ length: CONNECTIONS }, () => ({ sent: 0, closed: false }));
      const told = CLIENTS.map(() => truth.map(() => 0));
      const ends = CLIENTS.map(() => truth.map(() => 0));
      let ring: TracedEvent[] = [];
      const poll = (client: number) => {
        const { active, closed } = state.take(CLIENTS[client]!, 0);
        for (const { remote, delta } of [...active, ...closed]) {
          expect(Number(delta.bytesSent)).toBeGreaterThanOrEqual(0);
          told[client]![remote.port]! += Number(delta.bytesSent);
          ends[client]![remote.port]! += delta.closed;
        }
      };
      const observe = (kind: "sample" | "close", n: number) =>
        event(kind, BigInt(truth[n]!.sent), {
          // Cookies collide: the port is what names the connection.
          cookie: n % 3,
          remote: { address: "10.0.0.2", port: n },
        });
      for (const [what, n, m] of steps) {
        const connection = truth[n];
        if (what === "move" && !connection!.closed) connection!.sent += m;
        if (what === "sample" && !connection!.closed) ring.push(observe("sample", n));
        if (what === "close") {
          connection!.closed = true;
          for (let i = 0; i <= m; i++) ring.push(observe("close", n));
        }
        if (what === "drain") {
          // A part of the ring, and that in another order: CPUs are drained one after the other.
          const part = ring.splice(0, n === 5 ? ring.length : n);
          state.observe(m % 2 === 0 ? part : part.toReversed(), 0);
        }
        if (what === "poll") poll(n);
      }
      state.observe(ring, 0);
      for (const [n, { closed }] of truth.entries())
        if (!closed) state.observe([observe("sample", n)], 0);
      for (const client of CLIENTS.keys()) poll(client);
      for (const client of CLIENTS.keys()) {
        expect(told[client]).toEqual(truth.map(({ sent }) => sent));
        expect(ends[client]).toEqual(truth.map(({ closed }) => (closed ? 1 : 0)));
      }
    }),
    runs(300),
  );
});
