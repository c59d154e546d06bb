/** The live view's numbers: each byte in one interval, and nothing unknown as 0. */
import { describe, expect, test } from "bun:test";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { orders, rateOrder } from "../../src/top/columns.ts";
import { topGroupingNames } from "../../src/top/groupings.ts";
import { Model } from "../../src/top/model.ts";
import { rowsKept, rowsOf, totalOf, type Query } from "../../src/top/rows.ts";
import { knownOf, meanOf } from "../../src/top/sums.ts";
import { eventOf, SECOND } from "./drive/traced_event.ts";
import { fc, runs } from "./drive/random.ts";

const byProcess: Query = {
  by: "process",
  sort: "rate",
  reverse: false,
  ended: false,
  within: null,
  most: 100,
  text: "",
};

/** A model after its base, which is at 1 s. */
function begun(...older: TracedEvent[]): Model {
  const model = new Model(0n);
  for (const event of older) model.observe(event);
  model.cut(SECOND);
  return model;
}

function sumsAfter(model: Model, second: bigint, ...events: TracedEvent[]) {
  for (const event of events) model.observe(event);
  const sums = totalOf(model.cut(second * SECOND));
  const { tx, rx, txTotal, rxTotal } = sums;
  return {
    open: sums.open,
    opened: sums.opened,
    failed: sums.failed,
    tx: knownOf(tx),
    rx: knownOf(rx),
    totals: [knownOf(txTotal), knownOf(rxTotal)],
    unknown: tx.unknown,
  };
}

const at = (seconds: number): bigint => BigInt(Math.round(seconds * 1e9));

test("the rows of an interval are made once for each question", () => {
  const model = begun(eventOf("connect", at(0.5)));
  const [first, second] = [model.cut(2n * SECOND), model.cut(3n * SECOND)];
  const kept = rowsKept();
  const found = kept(first, byProcess);
  expect(found).toEqual(rowsOf(first, byProcess));
  expect(kept(first, { ...byProcess })).toBe(found);
  expect(kept(second, byProcess)).not.toBe(found);
  expect(kept(second, { ...byProcess, text: "nobody" }).rows).toEqual([]);
  expect(kept(second, byProcess)).toEqual(rowsOf(second, byProcess));
});

test("of more rows than are asked for those that come first are made, in whatever order", () => {
  const some = fc.record({
    pid: fc.integer({ min: 1, max: 12 }),
    kind: fc.constantFrom("connect" as const, "close" as const, "open" as const),
    sent: fc.option(fc.bigInt({ min: 0n, max: 5n }), { nil: null }),
    cookie: fc.integer({ min: 1, max: 40 }),
    rttUs: fc.option(fc.nat(3), { nil: null }),
  });
  const query = fc.record({
    by: fc.constantFrom(...topGroupingNames.filter((name) => name !== "connection")),
    sort: fc.constantFrom(...orders.map(({ name }) => name), "rate"),
    reverse: fc.boolean(),
    ended: fc.boolean(),
    most: fc.integer({ min: 1, max: 13 }),
  });
  fc.assert(
    fc.property(fc.array(some, { maxLength: 40 }), query, (events, asked) => {
      const model = begun();
      for (const { pid, kind, sent, cookie, rttUs } of events) {
        const moved = kind === "connect" ? null : { sent, received: sent, rttUs };
        const end = { address: `10.0.0.${pid}`, port: pid };
        model.observe(
          eventOf(kind, at(1.5), moved, { pid, cookie, cgroup: `/${pid}.service`, remote: end }),
        );
      }
      const tick = model.cut(2n * SECOND);
      const { order } = orders.find(({ name }) => name === asked.sort) ?? rateOrder;
      const placeOf = (most: number) =>
        rowsOf(tick, { ...byProcess, ...asked, most })
          .rows.slice(0, asked.most)
          .map((row) => [order(row), row.sums.open]);
      expect(placeOf(asked.most)).toEqual(placeOf(1000));
      expect(rowsOf(tick, { ...byProcess, ...asked }).count).toBe(
        rowsOf(tick, { ...byProcess, ...asked, most: 1000 }).count,
      );
    }),
    runs(500),
  );
});

describe("an interval", () => {
  test("has what samples have grown, and what the close adds to the last sample", () => {
    const model = begun();
    expect(
      sumsAfter(
        model,
        2n,
        eventOf("connect", at(1.2)),
        eventOf("sample", at(2), { sent: 700n, received: 30n }),
      ),
    ).toMatchObject({ open: 1, opened: 1, tx: 700, rx: 30, totals: [700, 30] });
    expect(sumsAfter(model, 3n)).toMatchObject({ open: 1, opened: 0, tx: 0, totals: [700, 30] });
    expect(
      sumsAfter(
        model,
        4n,
        eventOf("close", at(3.5), { sent: 1000n, received: 30n, durationNs: at(2) }),
      ),
    ).toMatchObject({ open: 0, tx: 300, rx: 0, totals: [1000, 30] });
    expect(sumsAfter(model, 5n)).toMatchObject({ open: 0, tx: 0, totals: [1000, 30] });
  });

  test("has all of a connection that was never sampled", () => {
    const model = begun();
    const close = eventOf("close", at(1.4), { sent: 50n, durationNs: at(0.2) });
    expect(sumsAfter(model, 2n, eventOf("connect", at(1.2)), close)).toMatchObject({
      open: 0,
      opened: 1,
      tx: 50,
    });
  });

  test("counts an end that is told twice once", () => {
    const model = begun(eventOf("connect", at(0.5)));
    const close = eventOf("close", at(1.4), { sent: 50n, durationNs: at(0.9) });
    expect(sumsAfter(model, 2n, close, close)).toMatchObject({ tx: 50, totals: [50, 0] });
    expect(sumsAfter(model, 3n, close)).toMatchObject({ tx: 0, totals: [50, 0] });
    const late = eventOf("close", at(1.4), { sent: 57n, durationNs: at(0.9) });
    expect(sumsAfter(model, 4n, late)).toMatchObject({ tx: 7, totals: [57, 0] });
    expect(sumsAfter(model, 5n)).toMatchObject({ tx: 0, totals: [57, 0] });
  });

  test("forgets a connection whose end was lost, once the kernel side knows it no more", () => {
    const model = begun(eventOf("connect", at(0.5)));
    model.drop([eventOf("open", at(1.5))]);
    expect(sumsAfter(model, 2n)).toMatchObject({ open: 0, tx: 0 });
  });

  test("counts an attempt that failed, and keeps the count", () => {
    const model = begun();
    const fail = eventOf("fail", at(1.5), null, { failure: 111 });
    expect(sumsAfter(model, 2n, fail)).toMatchObject({ open: 0, opened: 0, failed: 1, tx: 0 });
    expect(sumsAfter(model, 3n)).toMatchObject({ failed: 1 });
  });

  test("lets a UDP flow go on of which a datagram failed", () => {
    const udp = { protocol: "udp" } as const;
    const model = begun(eventOf("begin", at(0.5), null, udp));
    const fail = eventOf("fail", at(1.5), null, { ...udp, failure: 111 });
    const sample = eventOf("sample", at(2), { sent: 12n, retransmits: null }, udp);
    expect(sumsAfter(model, 2n, fail, sample)).toMatchObject({ open: 1, failed: 1, tx: 12 });
  });
});

describe("a connection that is older than the view", () => {
  test("begins with what it had moved by then", () => {
    const model = begun(eventOf("open", at(0.1), { sent: 5_000n, received: 400n }));
    const sample = eventOf("sample", at(2), { sent: 5_007n, received: 400n });
    expect(sumsAfter(model, 2n, sample)).toMatchObject({
      open: 1,
      opened: 0,
      tx: 7,
      totals: [7, 0],
    });
  });

  test("is unknown where its close is the first that is heard of it", () => {
    const model = begun();
    const close = eventOf("close", at(1.5), { sent: 5_000n, durationNs: null });
    expect(sumsAfter(model, 2n, close)).toMatchObject({ tx: null, rx: null, unknown: 1 });
  });

  test("is unknown until its first sample, if nothing was known of it", () => {
    const unknown = { sent: null, received: null, retransmits: null };
    const model = begun(eventOf("open", at(0.1), unknown));
    expect(sumsAfter(model, 2n)).toMatchObject({ open: 1, tx: null, unknown: 1 });
    const sample = (second: number, sent: bigint) => eventOf("sample", at(second), { sent });
    expect(sumsAfter(model, 3n, sample(3, 900n))).toMatchObject({ tx: null, unknown: 1 });
    expect(sumsAfter(model, 4n, sample(4, 905n))).toMatchObject({ tx: 5, unknown: 0 });
  });
});

test("what a connection moves is unknown, not 0, while its counters are", () => {
  const model = begun(eventOf("connect", at(0.5)));
  const unknown = { sent: null, received: null };
  expect(sumsAfter(model, 2n, eventOf("sample", at(2), unknown))).toMatchObject({
    tx: null,
    totals: [null, null],
  });
  expect(sumsAfter(model, 3n)).toMatchObject({ tx: null, unknown: 1 });
});

test("of a connection whose beginning was lost the total is known, but not the interval", () => {
  const model = begun();
  const long = eventOf("close", at(9.5), { sent: 80n, durationNs: at(8) });
  model.cut(9n * SECOND);
  expect(sumsAfter(model, 10n, long)).toMatchObject({ opened: 0, tx: null, totals: [80, 0] });
  const short = eventOf("close", at(10.5), { sent: 8n, durationNs: at(0.2) }, { cookie: 2 });
  expect(sumsAfter(model, 11n, short)).toMatchObject({ opened: 1, tx: 8, totals: [88, 0] });
});

test("the time that connecting took stays known while the connection is open", () => {
  const model = begun(eventOf("connect", at(0.5), null, { connectNs: 1_234_567n }));
  model.observe(eventOf("sample", at(1.5), { sent: 5n }));
  const failed = { cookie: 2, connectNs: 9_000_000n, failure: 110 };
  model.observe(eventOf("fail", at(1.6), null, failed));
  expect(meanOf(totalOf(model.cut(2n * SECOND)).connectUs)).toBe(1234);
});

test("the base has no length, so it has no rate", () => {
  const model = new Model(0n);
  expect(model.cut(SECOND).elapsedNs).toBe(0n);
  expect(model.cut(3n * SECOND).elapsedNs).toBe(2n * SECOND);
});

test.each(topGroupingNames)("by %s, rows add up to the totals", (by) => {
  const model = begun(eventOf("open", at(0.1), { sent: 5n }, { cookie: 9, netns: 2 }));
  const more = (i: number): Partial<TracedEvent> => ({
    cookie: i,
    pid: 100 + (i % 3),
    comm: ["curl", "nginx", null][i % 3]!,
    direction: i % 2 === 0 ? "outgoing" : "incoming",
    local: { address: "10.0.0.1", port: 40_000 + (i % 4) },
    remote: { address: `10.0.0.${i % 5}`, port: 443 },
    cgroup: i % 2 === 0 ? "/system.slice/nginx.service" : null,
  });
  for (let i = 0; i < 40; i++) {
    model.observe(eventOf("connect", at(1.1), null, more(i)));
    model.observe(eventOf("sample", at(1.5), { sent: BigInt(i * 10) }, more(i)));
  }
  for (let i = 0; i < 30; i++)
    model.observe(
      eventOf("close", at(1.6), { sent: BigInt(i * 11), durationNs: at(0.5) }, more(i)),
    );
  model.cut(2n * SECOND);
  const tick = model.cut(3n * SECOND);
  const { rows } = rowsOf(tick, { ...byProcess, by, ended: true });
  const sums = (name: "txTotal" | "tx") =>
    rows.reduce((sum, row) => sum + knownOf(row.sums[name])!, 0);
  const total = totalOf(tick);
  expect(sums("txTotal")).toBe(knownOf(total.txTotal)!);
  expect(sums("txTotal")).toBe(11 * 435 + 10 * (780 - 435));
  expect(rows.reduce((sum, row) => sum + row.sums.open, 0)).toBe(11);
});

test("rows are sorted by a column, the most first, what is unknown last, and the other way round", () => {
  const model = begun();
  const more = (pid: number) => ({ cookie: pid, pid, local: { address: "10.0.0.1", port: pid } });
  for (const [pid, sent] of [
    [1, 5n],
    [2, null],
    [3, 70n],
    [4, 6n],
  ] as const) {
    model.observe(eventOf("connect", at(1.1), null, more(pid)));
    model.observe(eventOf("sample", at(1.5), { sent, received: sent }, more(pid)));
  }
  const tick = model.cut(2n * SECOND);
  const pids = (query: Partial<Query>) =>
    rowsOf(tick, { ...byProcess, ...query }).rows.map(({ event }) => event.pid);
  expect(pids({})).toEqual([3, 4, 1, 2]);
  expect(pids({ reverse: true })).toEqual([2, 1, 4, 3]);
  expect(pids({ by: "connection", most: 2 })).toEqual([3, 4]);
  expect(pids({ by: "connection", most: 2, reverse: true })).toEqual([2, 1]);
  expect(rowsOf(tick, { ...byProcess, by: "connection", most: 2 }).count).toBe(4);
});

test("a group in which nothing is open any more is left out, unless ended ones are asked for", () => {
  const model = begun(eventOf("connect", at(0.5)));
  model.observe(eventOf("close", at(1.5), { sent: 50n, durationNs: at(1) }));
  const rows = (ended: boolean) => rowsOf(tick, { ...byProcess, ended }).rows.length;
  let tick = model.cut(2n * SECOND);
  expect([rows(false), rows(true)]).toEqual([1, 1]);
  tick = model.cut(3n * SECOND);
  expect([rows(false), rows(true)]).toEqual([0, 1]);
  const kept = tick.ended.copy();
  model.observe(eventOf("close", at(3.5), { sent: 9n, durationNs: at(0.1) }, { cookie: 5 }));
  model.cut(4n * SECOND);
  tick = model.cut(5n * SECOND);
  expect([kept.totals.txTotal.sum, tick.ended.totals.txTotal.sum]).toEqual([50, 59]);
});

test("whatever happens in whatever intervals, the intervals add up to the truth", () => {
  const step = fc.record({
    connection: fc.nat(4),
    sent: fc.nat(1000),
    what: fc.constantFrom("sample", "cut", "close"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const model = begun();
      let clock = 2n * SECOND;
      const open = new Map<number, { cookie: number; sent: number; beganNs: bigint }>();
      let [cookie, truth, told] = [0, 0, 0];
      const cut = () => (told += knownOf(totalOf(model.cut(++clock)).tx)!);
      for (const { connection, sent, what } of steps) {
        if (what === "cut") {
          cut();
          continue;
        }
        clock += 1n;
        let of = open.get(connection);
        const more = () => ({
          cookie: of!.cookie,
          local: { address: "10.0.0.1", port: 1000 + connection },
        });
        if (of === undefined) {
          open.set(connection, (of = { cookie: ++cookie, sent: 0, beganNs: clock }));
          model.observe(eventOf("connect", clock, null, more()));
        }
        of.sent += sent;
        truth += sent;
        const durationNs = what === "close" ? clock - of.beganNs : null;
        const moved = { sent: BigInt(of.sent), durationNs };
        model.observe(eventOf(what, clock, moved, more()));
        if (what === "close") open.delete(connection);
      }
      clock += 1n;
      for (const [connection, of] of open)
        model.observe(
          eventOf(
            "sample",
            clock,
            { sent: BigInt(of.sent) },
            {
              cookie: of.cookie,
              local: { address: "10.0.0.1", port: 1000 + connection },
            },
          ),
        );
      cut();
      expect(told).toBe(truth);
      const tick = model.cut(++clock);
      expect(knownOf(totalOf(tick).txTotal)).toBe(truth);
    }),
    runs(300),
  );
});

test("groups that ended long ago are pushed out, in their order, and are counted", () => {
  const model = begun();
  const many = 40_000;
  const each = 1_000;
  let tick = model.cut(2n * SECOND);
  for (let n = 0; n < many; n++) {
    const ends = { address: `10.0.${n >> 8}.${n & 255}`, port: 443 };
    const time = at(2 + n / each);
    const more = { cookie: n + 1, remote: ends };
    model.observe(eventOf("connect", time, null, more));
    model.observe(eventOf("close", time + 1n, { sent: 7n }, more));
    if ((n + 1) % each === 0) tick = model.cut(at(3 + n / each));
  }
  const { ended } = model.cut(at(4 + many / each));
  expect(tick.ended).toBe(ended);
  const left = ended.of("connection");
  expect(left.size).toBeGreaterThanOrEqual(16_384);
  expect(left.size).toBeLessThan(20_000);
  expect(ended.forgotten("connection")).toBe(many - left.size);
  expect([...left.values()].at(-1)!.event.remote.address).toBe(
    `10.0.${(many - 1) >> 8}.${(many - 1) & 255}`,
  );
  // The process was heard of all the time.
  expect(ended.forgotten("process")).toBe(0);
  expect([...ended.of("process").values()].map(({ totals }) => totals.txTotal.sum)).toEqual([
    7 * many,
  ]);
});

test("connections that are open are sorted out anew when others are wanted", () => {
  const model = begun(eventOf("connect", at(0.5), null, { pid: 1, cookie: 1 }));
  model.observe(eventOf("connect", at(1.5), null, { pid: 2, cookie: 2 }));
  const pids = (second: bigint) => model.cut(second * SECOND).facts.map(({ event }) => event.pid);
  expect(pids(2n)).toEqual([1, 2]);
  model.choose(({ pid }) => pid === 2);
  expect(pids(3n)).toEqual([2]);
  model.choose(() => true);
  expect(pids(4n)).toEqual([1, 2]);
});

test("rows that keep their places are those that are put together anew", () => {
  const some = fc.record({
    pid: fc.integer({ min: 1, max: 9 }),
    kind: fc.constantFrom("connect" as const, "close" as const, "sample" as const),
    sent: fc.bigInt({ min: 0n, max: 5n }),
    cookie: fc.integer({ min: 1, max: 12 }),
  });
  const interval = fc.record({
    events: fc.array(some, { maxLength: 20 }),
    by: fc.constantFrom("process" as const, "remote" as const, "netns" as const),
    ended: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 8 }), (intervals) => {
      const model = begun();
      const kept = rowsKept();
      for (const [n, { events, by, ended }] of intervals.entries()) {
        for (const { pid, kind, sent, cookie } of events) {
          const remote = { address: `10.0.0.${cookie}`, port: 443 };
          const moved = kind === "connect" ? null : { sent };
          model.observe(eventOf(kind, at(2 + n), moved, { pid, cookie, remote }));
        }
        const tick = model.cut(at(3 + n));
        const query = { ...byProcess, by, ended };
        const byKey = ({ rows, count }: ReturnType<typeof kept>) => ({
          rows: rows.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
          count,
        });
        expect(byKey(kept(tick, query))).toEqual(byKey(rowsOf(tick, query)));
      }
    }),
    runs(300),
  );
});

test("of many open connections those that move and those that stand still are in the rows", () => {
  const OPEN = 10_000;
  const ends = (n: number) => ({
    pid: 1000 + (n % 200),
    remote: { address: `10.0.${n >> 8}.${n & 255}`, port: 1024 + n },
  });
  const moved = (n: number, second: number): TracedEvent =>
    eventOf("sample", at(second), { sent: BigInt(second) }, { ...ends(n), cookie: 1 + n });
  const model = begun(...Array.from({ length: OPEN }, (_, n) => moved(n, 1)));
  const kept = rowsKept();
  for (let n = 0; n < 6; n++) {
    for (let i = 0; i < 1000; i++) model.observe(moved((i * 7919) % OPEN, 2 + n));
    const tick = model.cut(at(2.5 + n));
    expect(kept(tick, byProcess).count).toBe(200);
    expect(totalOf(tick)).toMatchObject({ open: OPEN, tx: { sum: 1000, unknown: 0 } });
  }
});
