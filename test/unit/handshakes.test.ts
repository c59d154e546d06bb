/** Accepts that the shim makes of handshakes are those that TypeScript makes, also in a recording and for expectations. */
import { beforeAll, describe, expect, test } from "bun:test";
import { parseExpectation } from "../../src/commands/expectation.ts";
import { besideLines } from "../../src/commands/record.ts";
import type { ClockPair } from "../../src/conn/clock.ts";
import { Expected, watchOf } from "../../src/filter/expect.ts";
import { randomBytes } from "../../src/kernel/random.ts";
import { openShim } from "../../src/kernel/shim.ts";
import { formatOf } from "../../src/output/index.ts";
import { Lines } from "../../src/output/lines.ts";
import { keyIds } from "../../src/record/id.ts";
import { lineWriter } from "../../src/recording/format.ts";
import {
  ConnDirection,
  ConnFact,
  ConnMetadata,
  eventSize,
  EventKind,
  EventView,
  readEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { kindOf, toConnEvent } from "../../src/trace/event.ts";
import { NO_FILTER } from "../../src/trace/kernel_filter.ts";
import type { Working } from "../../src/trace/part.ts";
import { Closers } from "../../src/trace/process/closers.ts";
import { SockMarks } from "../../src/trace/sock_marks.ts";
import { applied } from "../../src/trace/stream/apply.ts";
import { conditionsOf } from "../../src/trace/stream/conditions.ts";
import { EventQueue } from "../../src/trace/stream/queue.ts";
import { chosen, showable } from "../../src/trace/stream/show.ts";
import { Acceptors } from "../../src/trace/tcp/acceptors.ts";
import { Accepts, type AcceptState } from "../../src/trace/tcp/accepts.ts";
import { Handshakes } from "../../src/trace/tcp/handshakes.ts";
import { Opens } from "../../src/trace/tcp/opens.ts";
import { askFew, holdsTotals } from "../../src/trace/tcp/totals.ts";
import { workingTcp } from "../../src/trace/tcp/working.ts";
import { ownerOf, walkAt } from "./drive/holders.ts";
import { fc, runs } from "./drive/random.ts";

const shim = openShim();
beforeAll(() => keyIds(randomBytes));

const { EVENT_PASSIVE, EVENT_CLOSE, EVENT_CONNECT, EVENT_LISTEN } = EventKind;
const { FACT_ACCEPTED, FACT_FOLLOWED, FACT_OWNED_BY_CLOSER } = ConnFact;
const OF_ITS_CLOSER = FACT_ACCEPTED | FACT_OWNED_BY_CLOSER;
const OWN = 77;
const STEP_NS = 500_000;
const clocks: ClockPair = { monoNs: 0n, wallNs: 1_790_000_000_000_000_000n };
const blank = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);

/** Event of one moment. */
interface Step {
  kind: number;
  sock: number;
  cookie: number;
  listener: number;
  pid: number;
  uid: number;
  flags: number;
}

interface Poll {
  steps: readonly Step[];
  /** Processes that hold listeners and sockets when a walk is made, by inode. */
  held: Record<number, readonly number[]>;
  /** Of a connection that is asked about in this poll. */
  state: AcceptState;
}

const sockOf = (n: number): bigint => 0xffff_8880_0000_0000n + BigInt(n) * 64n;

function eventAt(step: Step, at: number): Event {
  const { kind, sock, cookie, listener, pid, uid, flags } = step;
  const isOwned = kind !== EVENT_PASSIVE;
  const name = Uint8Array.from({ length: 15 }, (_, n) => Buffer.from(`p${pid}`)[n] ?? 0);
  const owner = isOwned ? { pid, uid, comm: name } : { pid: 0 };
  const isClose = kind === EVENT_CLOSE;
  return {
    ...blank,
    kind,
    sk: sockOf(sock),
    cookie,
    flags: isClose ? flags : 0,
    timestamp: BigInt(at),
    started_at: BigInt(at - 500),
    ended_at: isClose ? BigInt(at) : 0n,
    direction:
      kind === EVENT_CONNECT ? ConnDirection.DIRECTION_OUTGOING : ConnDirection.DIRECTION_INCOMING,
    netns: 5,
    ends: {
      ...{ ...blank.ends, metadata: ConnMetadata.METADATA_TCP },
      ...{ saddr_l: 0x0100007fn, daddr_l: 0x0100007fn, sport: 80, dport: 4000 + cookie },
    },
    owner: { ...blank.owner, ...owner, listener_ino: isClose ? 0 : listener },
    ...(isClose ? { sent_bytes: BigInt(cookie), recv_bytes: 2n } : {}),
  };
}

/** Nobody meets it; a process is the same in many lines. */
const expectations = [parseExpectation("event==accept,pid==1", "trace")];

/** Each socket has an inode of its own. */
const stateOf = (sk: bigint, of: AcceptState): AcceptState =>
  of.state === "accepted" ? { ...of, ino: of.ino + Number((sk >> 6n) & 0xfn) } : of;

/** The lines of these polls, and what was counted; `isPaired`: the shim keeps handshakes. */
function told(polls: readonly Poll[], isPaired: boolean) {
  let [nowNs, poll] = [0, polls[0]!];
  const marks = new SockMarks();
  const untold = isPaired ? new Handshakes(shim.addressOf) : null;
  const source = {
    walk: () => walkAt(nowNs, poll.held),
    owner: ({ pid }: { pid: number }) => ownerOf(pid),
  };
  const acceptors = new Acceptors(source, OWN, untold);
  const accepts = new Accepts((sk) => stateOf(sk, poll.state), acceptors, marks.map(), untold);
  acceptors.begin();
  const opens = new Opens(marks.map(), marks.map());
  opens.settle();
  const tcp = workingTcp(accepts, opens, undefined, untold);
  const closers = new Closers({
    kernelThread: (pid) => (pid % 2 === 0 ? null : 0n),
    nowNs: () => 0n,
  });
  const programsAt = BigInt(shim.addressOf(closers.programs));
  const parts: Working[] = [
    { ...tcp, holds: holdsTotals, conditions: (to) => (askFew(to), tcp.conditions(to)) },
    {
      revises: (view, p) => closers.concern(view, p),
      revise: (event) => closers.apply(event),
      conditions: (to) => (closers.conditions(to, programsAt), true),
    },
  ];
  const expected = new Expected(expectations);
  const recorded = new Lines();
  const recording = lineWriter(0n);
  const next = () => recorded.count + 1;
  const recorder = {
    into: (at: ClockPair) => ({ lines: recorded, number: next(), tail: recording.tailOf(at) }),
  };
  const beside = besideLines(recorder, watchOf(expected, expectations));
  const format = formatOf("json", {}, shim, null, beside);
  const lines = new Lines();
  const text: string[] = [];
  const handOn = () => {
    text.push(Buffer.from(lines.take(true).bytes).toString());
  };
  const describeRecord = (view: DataView, p: number) => {
    const of = new EventView(view, p);
    return toConnEvent(of, kindOf(of)!, []);
  };
  const given = { tgid: OWN, filter: NO_FILTER, parts };
  const show = chosen({ ...given, self: false, beganNs: 0n })((event, kind) => {
    const shown = toConnEvent(event, kind, []);
    format.append!(lines, shown, clocks);
    recording.appendEvent(recorded, shown, clocks, next());
    expected.see(shown, 0n);
  });
  const { apply } = applied(parts, showable(given));
  const conditions = conditionsOf(parts, marks, OWN, shim.addressOf)!;
  const record = (view: DataView, p: number) =>
    format.appendRecord!(lines, view, p, clocks, describeRecord);
  let direct = 0;
  for (poll of polls) {
    const queue = new EventQueue();
    closers.renew();
    for (const step of poll.steps) queue.push(eventAt(step, (nowNs += STEP_NS)));
    nowNs += STEP_NS;
    queue.take(
      Infinity,
      (view, p) => apply(view, p, record, show),
      undefined,
      (view, places, from, to) => {
        const many = { view, places, from, to, conditions: conditions() };
        const taken = format.appendRecords!(lines, many, clocks, describeRecord);
        for (let n = from; n < from + taken; n++)
          if (new EventView(view, places[n]!).kind === EVENT_CLOSE) direct++;
        return taken;
      },
    );
    tcp.tick(BigInt(nowNs), show, poll === polls.at(-1));
    handOn();
  }
  format.settle!();
  const file = Buffer.from(recorded.take(true).bytes).toString();
  const { seen, unmet } = expected;
  return { text: text.join(""), file, seen, unmet, lost: accepts.lost, direct };
}

/** The first nineteen times out of twenty. */
function often<T>(usual: T, ...others: (T | fc.Arbitrary<T>)[]): fc.Arbitrary<T> {
  const seldom = others.map((other) =>
    other instanceof fc.Arbitrary ? other : fc.constant(other),
  );
  return fc.oneof({ weight: 19, arbitrary: fc.constant(usual) }, fc.oneof(...seldom));
}

const step = (of: Partial<Step>): Step => ({
  ...{ kind: EVENT_PASSIVE, sock: 1, cookie: 1, listener: 9, pid: 600, uid: 0 },
  flags: OF_ITS_CLOSER,
  ...of,
});
const close = (of: Partial<Step> = {}): Step => step({ kind: EVENT_CLOSE, ...of });
const pollOf = (steps: readonly Step[], held: Poll["held"] = { 9: [600] }): Poll => ({
  steps,
  held,
  state: { state: "waiting" },
});
/** Connections one after the other, each of another sock. */
const connections = (count: number, of: Partial<Step> = {}): Step[] =>
  Array.from({ length: count }, (_, n) => [
    step({ sock: 2 * n, cookie: n, ...of }),
    close({ sock: 2 * n, cookie: n, ...of }),
  ]).flat();

describe("of random connections", () => {
  const any = fc.record({
    kind: fc.constantFrom(EVENT_PASSIVE, EVENT_CLOSE, EVENT_CLOSE, EVENT_CONNECT, EVENT_LISTEN),
    sock: fc.nat({ max: 5 }),
    cookie: fc.constantFrom(1, 1, 2),
    listener: fc.constantFrom(9, 9, 8, 0),
    pid: fc.constantFrom(600, 600, 500, 501, OWN, 0),
    uid: fc.constantFrom(0, 0, 1000),
    flags: fc.constantFrom(FACT_ACCEPTED, FACT_ACCEPTED | FACT_FOLLOWED, OF_ITS_CLOSER, 0),
  });
  /** Mostly by one process that serves one listener, with something in between now and then. */
  const connection = fc
    .record({
      sock: fc.nat({ max: 5 }),
      listener: often(9, 8),
      pid: often(600, 500, 501, 602),
      uid: fc.constantFrom(0, 1000),
      flags: often(OF_ITS_CLOSER, FACT_ACCEPTED, 0),
      between: often<Step | null>(null, any),
    })
    .map(({ between, ...of }) => [step(of), ...(between === null ? [] : [between]), close(of)]);
  const steps = fc.array(connection, { minLength: 30, maxLength: 120 }).map((many) => many.flat());
  const pids = fc.uniqueArray(fc.constantFrom(500, 501, 600), { maxLength: 3 });
  const held = fc.record({
    9: often([600], pids),
    ...{ 8: pids, 30: pids, 31: pids, 32: pids },
  });
  const state = fc.constantFrom<AcceptState>(
    ...([{ state: "waiting" }, { state: "gone" }] as const),
    { state: "accepted", ino: 30 },
  );
  const polls = fc.array(fc.record({ steps, held, state }), { minLength: 1, maxLength: 4 });

  test("the lines are the same, and what is lost", () => {
    let [direct, least] = [0, 0];
    fc.assert(
      fc.property(polls, (some) => {
        const [by, without] = [told(some, true), told(some, false)];
        direct += by.direct;
        least += without.direct;
        expect({ ...by, direct: 0 }).toEqual({ ...without, direct: 0 });
      }),
      runs(60),
    );
    expect(direct).toBeGreaterThan(2 * least);
  });
});

test("nearly all connections of a server pass without TypeScript, also those of root", () => {
  const { direct, text, lost, seen } = told([pollOf(connections(400))], true);
  expect(direct).toBeGreaterThan(350);
  expect(seen).toBe(800);
  expect(text.split("\n").filter((line) => line.includes('"accept"'))).toHaveLength(400);
  expect(lost).toBe(0n);
});

test("a server whose children close its connections passes through TypeScript", () => {
  expect(told([pollOf(connections(20, { pid: 500 }))], true).direct).toBe(0);
});

test("a walk that finds another holder is believed from the next handshake on", () => {
  const polls = [
    pollOf(connections(20)),
    pollOf(connections(20), { 9: [500] }),
    pollOf(connections(20), { 9: [500] }),
  ].map((poll) => ({ ...poll, steps: [...poll.steps, step({ kind: EVENT_LISTEN, listener: 8 })] }));
  const [by, without] = [told(polls, true), told(polls, false)];
  expect({ ...by, direct: 0 }).toEqual({ ...without, direct: 0 });
  expect(by.direct).toBeGreaterThan(10);
  expect(by.direct).toBeLessThan(40);
});

test("a connection that stays open is asked about after its poll, and its close brings the accept along later", () => {
  const polls = [
    pollOf([...connections(5), step({ sock: 99, cookie: 7 })]),
    pollOf([close({ sock: 99, cookie: 7 })]),
  ];
  const { text, lost } = told(polls, true);
  expect(text).toBe(told(polls, false).text);
  expect(text.split("\n").filter((line) => line.includes('"accept"'))).toHaveLength(6);
  expect(lost).toBe(0n);
});

test("more handshakes than there is room for are all told", () => {
  const many = Array.from({ length: 2000 }, (_, n) => step({ sock: n, cookie: n }));
  const closes = many.map(({ sock, cookie }) => close({ sock, cookie }));
  const polls = [pollOf([...connections(5), ...many, ...closes])];
  const { text, lost } = told(polls, true);
  expect(text).toBe(told(polls, false).text);
  expect(text.split("\n").filter((line) => line.includes('"close"'))).toHaveLength(2005);
  expect(lost).toBe(0n);
});
