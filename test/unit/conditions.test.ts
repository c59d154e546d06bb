/** Records of which many become lines in one call of the shim: those that meet the conditions of all parts. */
import { beforeAll, expect, test } from "bun:test";
import type { ClockPair } from "../../src/conn/clock.ts";
import { randomBytes } from "../../src/kernel/random.ts";
import { openShim } from "../../src/kernel/shim.ts";
import { formatOf } from "../../src/output/index.ts";
import { Lines } from "../../src/output/lines.ts";
import { keyIds } from "../../src/record/id.ts";
import {
  ConnDirection,
  ConnFact,
  ConnMetadata,
  eventSize,
  EventKind,
  EventView,
  GroupSlots,
  LINE_CONDITIONS_ENDPOINTS,
  LINE_CONDITIONS_MOVED,
  LINE_CONDITIONS_NAMED,
  LINE_CONDITIONS_SILENT,
  readEvent,
  ringPrefixSize,
  Tick,
  writeEvent,
  type Event,
  type Owner,
} from "../../src/record/layout.gen.ts";
import { kindOf, toConnEvent } from "../../src/trace/event.ts";
import { numberOf, stackOf } from "../../src/protocols/stack.ts";
import { Absence } from "../../src/trace/nat/absence.ts";
import type { Working } from "../../src/trace/part.ts";
import { Closers } from "../../src/trace/process/closers.ts";
import { Groups } from "../../src/trace/process/groups.ts";
import { AGREEING, Endpoints, nameByRecord } from "../../src/trace/protocols/endpoints.ts";
import { SockMarks } from "../../src/trace/sock_marks.ts";
import { conditionsOf } from "../../src/trace/stream/conditions.ts";
import { EventQueue } from "../../src/trace/stream/queue.ts";
import { Opens, refuseOlder } from "../../src/trace/tcp/opens.ts";
import { askFew, holdsTotals } from "../../src/trace/tcp/totals.ts";
import { fc } from "./drive/random.ts";

const shim = openShim();
beforeAll(() => keyIds(randomBytes));

type Conditions = Required<Working>["conditions"];

const OWN = 77;
const nameOf = (name: string): Uint8Array =>
  Uint8Array.from({ length: 15 }, (_, n) => Buffer.from(name)[n] ?? 0);
const clocks: ClockPair = { monoNs: 0n, wallNs: 1_790_000_000_000_000_000n };
const describe = (view: DataView, p: number) => {
  const of = new EventView(view, p);
  return toConnEvent(of, kindOf(of)!, [nameByRecord]);
};

const closers = new Closers({ kernelThread: () => null, nowNs: () => 0n });

/** TCP with usual conditions; `conditions`: one more part. */
const parts = (conditions: Conditions): Working[] => [
  {
    holds: holdsTotals,
    conditions(to) {
      askFew(to);
      refuseOlder(to);
      closers.conditions(to, BigInt(shim.addressOf(closers.programs)));
      return true;
    },
  },
  { conditions },
];

/**
 * Lines of the records, as a poll makes them: how many there are, and which records came as records of their own. The conditions
 * are given back as well.
 */
function made(
  many: readonly Event[],
  conditions: Conditions,
  marks = new SockMarks(),
  kept = close(),
) {
  let view!: DataView;
  const usual: Conditions = (to) => {
    view = to;
    return conditions(to);
  };
  const at = conditionsOf(parts(usual), marks, OWN, shim.addressOf)!;
  const format = formatOf("json", {}, shim);
  const lines = new Lines();
  const queue = new EventQueue();
  const bytes = new DataView(new ArrayBuffer(eventSize));
  writeEvent(bytes, 0, kept);
  // The text of its key is kept from here on.
  format.appendRecord!(lines, bytes, 0, clocks, describe);
  const before = lines.count;
  for (const one of many) queue.push(one);
  const alone: number[] = [];
  queue.take(
    Infinity,
    (_, p) => void alone.push((p - ringPrefixSize) / (eventSize + ringPrefixSize)),
    undefined,
    (of, places, from, to) => {
      const address = at();
      if (address === 0) return 0;
      const records = { view: of, places, from, to, conditions: address };
      return format.appendRecords!(lines, records, clocks, describe);
    },
  );
  return { lines: lines.count - before, alone, view };
}

const blank = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
const end = { saddr_l: 0x0100007fn, daddr_l: 0x0100007fn, sport: 80, dport: 4000 };

/** Of a close that meets all conditions. */
const close = (of: Partial<Event> = {}): Event => ({
  ...blank,
  sk: 0xffff_8880_0000_1000n,
  ends: { ...blank.ends, ...end, metadata: ConnMetadata.METADATA_TCP },
  owner: { ...blank.owner, pid: 500, comm: nameOf("curl") },
  kind: EventKind.EVENT_CLOSE,
  started_at: 500n,
  ended_at: 1000n,
  timestamp: 1000n,
  sent_bytes: 1n,
  recv_bytes: 1n,
  ...of,
});
const always = () => true;

test("records that meet them become lines, and those that do not are left", () => {
  const { owner } = close();
  const others: Partial<Event>[] = [
    { flags: ConnFact.FACT_UNSEEN_OPEN },
    { flags: ConnFact.FACT_OWNED_BY_CLOSER },
    { sent_bytes: 1n << 29n },
    { recv_bytes: 1n << 29n },
    { owner: { ...owner, pid: OWN } },
    { owner: { ...owner, pid: 0 } },
    { owner: { ...owner, comm: nameOf("kworker/u8:0") } },
    { owner: { ...owner, uid: owner.uid + 1 } },
    { kind: EventKind.EVENT_FAIL },
    { kind: EventKind.EVENT_PASSIVE },
    { ends: { ...close().ends, metadata: 0 } },
    { timestamp: 1_000_000_001_000n },
  ];
  for (const other of others) {
    const { lines, alone } = made([close(), close(other)], always);
    expect([lines, alone, other]).toEqual([1, [1], other]);
  }
  expect(made([close(), close(), close()], always)).toMatchObject({ lines: 3, alone: [] });
});

test("where one is not taken the next ones are", () => {
  const many = [close(), close({ sent_bytes: 1n << 29n }), close(), close()];
  expect(made(many, always)).toMatchObject({ lines: 3, alone: [1] });
});

test("a part may have none now, and one that has none at all has them all alone", () => {
  expect(made([close()], () => false)).toMatchObject({ lines: 0, alone: [0] });
  const without: Working[] = [{ enrich() {} }, { conditions: always }];
  expect(conditionsOf(without, new SockMarks(), 0, shim.addressOf)).toBeNull();
});

test("of a sock that is in a map of some part no record is taken, as long as it is there", () => {
  const marks = new SockMarks();
  const map = marks.map<number, string>();
  for (const line of fc.sample(fc.noBias(fc.nat()), 20)) {
    const sock = 0x8880_0000_0000 + line * 64;
    const one = close({ sk: BigInt.asUintN(64, BigInt(sock % 2 ** 48) | (0xffffn << 48n)) });
    map.set(sock % 2 ** 48, "").set(sock % 2 ** 48, "again");
    expect(made([one], always, marks).lines).toBe(0);
    map.delete(sock % 2 ** 48);
    expect(made([one], always, marks).lines).toBe(1);
  }
  marks.map<string, string>().set("a flow", "");
  expect(marks.bytes.every((count) => count === 0)).toBe(true);
});

test("of a connection that was looked at only the close goes back, until something is known of it", () => {
  const marks = new SockMarks();
  const lookedAt = marks.lookedAt<string>();
  const known = marks.map<number, string>();
  const sock = Number(close().sk & 0xffff_ffff_ffffn);
  const accept = close({ kind: EventKind.EVENT_ACCEPT });
  lookedAt.set(sock, "");
  expect(made([close()], always, marks).alone).toEqual([0]);
  expect(made([accept], always, marks, accept).lines).toBe(1);
  known.set(sock, "");
  expect(made([accept], always, marks, accept).alone).toEqual([0]);
  known.delete(sock);
  lookedAt.delete(sock);
  expect(made([close()], always, marks).lines).toBe(1);
});

test("records of a process of which /proc has told at this poll tell its control group", () => {
  const nowNs = 3n << 56n;
  const tick = (ago: bigint) => Number(BigInt.asUintN(32, (nowNs >> BigInt(Tick.TICK_BITS)) - ago));
  const placed = { startedNs: nowNs - (50n << BigInt(Tick.TICK_BITS)), exiting: false };
  const groups = new Groups({
    mixed: true,
    pathOf: (id) => ({ 1: "/", 7: "/v2" })[String(id)],
    process: (pid) => ({ ...placed, v2: "/", v1: pid === 500 ? "/v1" : "/other" }),
    nowNs: () => nowNs,
  });
  const of = (cgroup_id: bigint, ago: bigint, more: Partial<Owner> = {}) =>
    close({ owner: { ...close().owner, cgroup_id, owned_at: tick(ago), ...more } });
  const tableAt = BigInt(shim.addressOf(groups.table.view));
  const conditions: Conditions = (to) => {
    groups.conditions(to, tableAt);
    return true;
  };
  const learn = (id: number) =>
    groups.of(500, { owned_at: tick(3n), cgroup_id: BigInt(id), cgroup_id_number: id });
  const id = () => BigInt(groups.numberedId(500, tick(5n), 0)!);
  const lines = (one: Event) => made([one], conditions, undefined, of(id(), 0n)).lines;
  expect(lines(of(0n, 3n))).toBe(1);
  expect(lines(of(0n, 50n))).toBe(1);
  // Before it began another process had its number.
  expect(lines(of(0n, 51n))).toBe(0);
  expect(lines(of(0n, 3n, { pid: 501 }))).toBe(0);
  // In the same slot.
  expect(lines(of(0n, 3n, { pid: 500 + GroupSlots.GROUP_SLOTS }))).toBe(0);
  expect(lines(of(1n, 3n))).toBe(0);
  learn(1);
  expect(lines(of(1n, 3n))).toBe(1);
  // A group of its own, and a host that does not tell.
  learn(7);
  expect(lines(of(7n, 3n))).toBe(0);
  learn(8);
  expect(lines(of(8n, 3n))).toBe(1);
  const kept = of(id(), 0n);
  groups.renew();
  expect(made([of(0n, 3n)], conditions, undefined, kept).lines).toBe(0);
});

test("older connections keep their socks marked to their end", () => {
  const marks = new SockMarks();
  const opens = new Opens(marks.map(), marks.map());
  opens.apply(close({ kind: EventKind.EVENT_OPEN }));
  expect(made([close()], always, marks).lines).toBe(0);
  opens.apply(close());
  expect(made([close()], always, marks).lines).toBe(1);
});

test("a connection that began while nothing was tracked is translated nowhere; of another one TypeScript decides", () => {
  let nowNs = 100;
  const absence = new Absence(
    () => nowNs,
    () => false,
  );
  nowNs = 600;
  absence.look();
  const asked: Conditions = (to) => (absence.conditions(to), true);
  // The text that is kept is of records that say so.
  const kept = close({ flags: ConnFact.FACT_PLAIN });
  const many = [close(), close({ started_at: 700n }), kept];
  expect(made(many, asked, new SockMarks(), kept)).toMatchObject({ lines: 2, alone: [1] });
});

test("a close is named after its endpoint, or not, as TypeScript would", () => {
  const endpoints = new Endpoints(() => {});
  const { table } = endpoints;
  const http = stackOf(null, "http", null);
  const { DIRECTION_INCOMING, DIRECTION_OUTGOING, DIRECTION_UNKNOWN } = ConnDirection;
  const directions = [DIRECTION_INCOMING, DIRECTION_OUTGOING, DIRECTION_UNKNOWN];
  const ends = fc.record({
    saddr_h: fc.constantFrom(0n, 1n),
    daddr_l: fc.constantFrom(1n, 0x0100007fn, 0x0200007fn),
    sport: fc.constantFrom(80, 443),
    dport: fc.constantFrom(80, 443),
  });
  const some = fc
    .record({
      second: fc.bigInt({ min: 0n, max: 3n }),
      direction: fc.constantFrom(...directions),
      netns: fc.constantFrom(7, 8),
      ends,
    })
    .map(({ second, ends: chosen, ...rest }): Event => {
      const one = close({ started_at: second * 10n ** 9n, timestamp: 4_000_000_000n, ...rest });
      return { ...one, ends: { ...one.ends, ...chosen } };
    });
  const turns = fc.tuple(some, fc.constantFrom(http, http, null), some);
  const bytes = new DataView(new ArrayBuffer(eventSize));
  const at = BigInt(shim.addressOf(table.view));
  let [named, alone] = [0, 0];
  for (const [n, [seen, speaks, one]] of fc.sample(fc.noBias(turns), 150).entries()) {
    writeEvent(bytes, 0, seen);
    for (let m = 0; m < AGREEING; m++) endpoints.saw(bytes, 0, 5, speaks);
    if (n % 50 === 0) endpoints.forget(7, 80);
    writeEvent(bytes, 0, one);
    const found = endpoints.of(bytes, 0);
    const kept = { ...one, endpoint_speaks: found === null ? 0 : numberOf(found) };
    const write: Conditions = (to) => {
      to.setBigUint64(LINE_CONDITIONS_ENDPOINTS, table.isEmpty ? 0n : at, true);
      return true;
    };
    const all = made([one], write, new SockMarks(), kept);
    alone += all.alone.length;
    named += all.lines * Number(found !== null);
    expect(all.view.getUint32(LINE_CONDITIONS_NAMED, true)).toBe(
      all.lines * Number(found !== null),
    );
  }
  expect(named).toBeGreaterThan(10);
  // Endpoints that have one slot in common.
  expect(alone).toBeLessThan(20);
});

test("closes are counted, by whether they moved anything", () => {
  const silent = close({ sent_bytes: 0n, recv_bytes: 0n });
  const { view } = made([close(), silent, close(), close()], always);
  expect(view.getUint32(LINE_CONDITIONS_MOVED, true)).toBe(3);
  expect(view.getUint32(LINE_CONDITIONS_SILENT, true)).toBe(1);
});
