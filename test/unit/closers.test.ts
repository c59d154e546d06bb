/** A thread of the kernel that only closed a connection is not its owner; a program's process, and who opened it, are. */
import { expect, test } from "bun:test";
import {
  ConnDirection,
  ConnFact,
  EventKind,
  eventSize,
  EventView,
  readEvent,
  writeEvent,
  type Event,
} from "../../src/record/layout.gen.ts";
import { Closers, type CloserSource } from "../../src/trace/process/closers.ts";

const TICK = 1n << 24n;
const NOW_NS = (3n << 56n) + 1000n * TICK;
const { FACT_OWNED_BY_CLOSER, FACT_ACCEPTED } = ConnFact;
const { DIRECTION_INCOMING, DIRECTION_OUTGOING } = ConnDirection;
const [KWORKER, NGINX] = [4, 700];

interface Of {
  pid?: number;
  uid?: number;
  flags?: number;
  comm?: string;
  ticksAgo?: bigint;
}

function closeBy({ pid = KWORKER, uid = 0, flags = FACT_OWNED_BY_CLOSER, ...of }: Of): Event {
  const blank = readEvent(new DataView(new ArrayBuffer(eventSize)), 0);
  const comm = new Uint8Array(15);
  comm.set(Buffer.from(of.comm ?? "kworker/0:1"));
  const owned_at = Number(BigInt.asUintN(32, NOW_NS / TICK - (of.ticksAgo ?? 0n)));
  const owner = { ...blank.owner, pid, uid, owned_at, cgroup_id: 1n, comm };
  return { ...blank, kind: EventKind.EVENT_CLOSE, sk: 7n, flags: flags | FACT_ACCEPTED, owner };
}

/** A kernel whose threads began at these times. */
function closersOf(threads: Record<number, bigint> = { [KWORKER]: 0n }) {
  const asked: number[] = [];
  const source: CloserSource = {
    kernelThread: (pid) => (asked.push(pid), threads[pid] ?? null),
    nowNs: () => NOW_NS,
  };
  return { closers: new Closers(source), asked };
}

/** The pid that is left: of the event as a record and as an object, which must agree. */
function ownerBy(closers: Closers, event: Event): number {
  const view = new DataView(new ArrayBuffer(8 + eventSize));
  writeEvent(view, 8, event);
  const { owner } = closers.apply(event);
  expect(closers.concern(view, 8)).toBe(owner.pid !== event.owner.pid);
  expect(closers.apply(new EventView(view, 8)).owner.pid).toBe(owner.pid);
  return owner.pid;
}

test("a thread of the kernel that closed is nobody, and nothing else of the event changes", () => {
  const { closers } = closersOf();
  const event = closeBy({});
  expect(ownerBy(closers, event)).toBe(0);
  expect(ownerBy(closers, closeBy({ comm: "nfsd" }))).toBe(0);
  const { owner, ...rest } = closers.apply(event);
  expect(owner).toMatchObject({ uid: 0, cgroup_id: 0n, comm: new Uint8Array(15) });
  const { owner: _, ...same } = event;
  expect(rest).toEqual(same);
});

test("a worker of the kernel that opened a connection for another is nobody; a program of that name stays", () => {
  const flags = ConnFact.FACT_OPENED_FOR_OTHER;
  expect(ownerBy(closersOf().closers, closeBy({ flags }))).toBe(0);
  expect(ownerBy(closersOf().closers, closeBy({ flags, pid: NGINX }))).toBe(NGINX);
});

test("a thread of the kernel that connected, or accepted without being a worker, stays the owner", () => {
  const { closers, asked } = closersOf();
  const outgoing = { ...closeBy({ flags: 0 }), direction: DIRECTION_OUTGOING };
  expect(ownerBy(closers, outgoing)).toBe(KWORKER);
  const byServer = closeBy({ flags: 0, comm: "nfsd" });
  expect(ownerBy(closers, { ...byServer, direction: DIRECTION_INCOMING })).toBe(KWORKER);
  expect(asked).toEqual([]);
});

test("a worker that accepted is nobody, a program of that name and a flow of UDP stay", () => {
  const flow = closeBy({ flags: 0 });
  flow.flags = 0;
  expect(ownerBy(closersOf().closers, { ...flow, direction: DIRECTION_INCOMING })).toBe(KWORKER);
  const accepted = { ...closeBy({ flags: 0 }), direction: DIRECTION_INCOMING };
  expect(ownerBy(closersOf().closers, accepted)).toBe(0);
  const program = { ...closeBy({ flags: 0, pid: NGINX }), direction: DIRECTION_INCOMING };
  expect(ownerBy(closersOf().closers, program)).toBe(NGINX);
});

test("a program of root's stays the owner, whatever its name, also when it is gone", () => {
  const { closers, asked } = closersOf();
  expect(ownerBy(closers, closeBy({ pid: NGINX, comm: "nginx" }))).toBe(NGINX);
  expect(ownerBy(closers, closeBy({ pid: NGINX, comm: "kworker/0:1" }))).toBe(NGINX);
  expect(asked).toEqual([NGINX]);
});

test("another user's process is not asked for", () => {
  const { closers, asked } = closersOf();
  expect(ownerBy(closers, closeBy({ pid: NGINX, uid: 33 }))).toBe(NGINX);
  expect(asked).toEqual([]);
});

test("a thread of the kernel that began after the close has only got the number", () => {
  const { closers } = closersOf({ [KWORKER]: NOW_NS - 10n * TICK });
  expect(ownerBy(closers, closeBy({ ticksAgo: 9n }))).toBe(0);
  expect(ownerBy(closers, closeBy({ ticksAgo: 12n }))).toBe(KWORKER);
});

test("an answer holds for one poll", () => {
  const { closers, asked } = closersOf();
  for (let poll = 0; poll < 2; poll++) {
    closers.renew();
    for (let closes = 0; closes < 3; closes++) ownerBy(closers, closeBy({}));
  }
  expect(asked).toEqual([KWORKER, KWORKER]);
});

test("where /proc has other numbers a worker's name is enough", () => {
  const closers = new Closers({ kernelThread: () => undefined, nowNs: () => NOW_NS });
  expect(ownerBy(closers, closeBy({ comm: "kworker/u8:2" }))).toBe(0);
  expect(ownerBy(closers, closeBy({ pid: NGINX, comm: "nginx" }))).toBe(NGINX);
});
