/** The name of a process, for the events of its other threads. */
import { expect, test } from "bun:test";
import { eventSize, EventView, readEvent, writeEvent } from "../../src/record/layout.gen.ts";
import { toConnEvent } from "../../src/trace/event.ts";
import { FirstThreads, OTHER_THREAD, type Named } from "../../src/trace/process/first_threads.ts";

const TICK = 1n << 24n;
const SECOND = 60n * TICK;
const BEGAN = (3n << 56n) + 1000n * TICK;

/** Processes by pid, and a clock that the test sets. */
function world(processes: Record<number, Named>, noted: Record<number, Named> = {}) {
  const now = { ns: BEGAN, asked: 0 };
  const firsts = new FirstThreads({
    noted: (pid) => noted[pid] ?? null,
    process(pid) {
      now.asked++;
      return processes[pid] ?? null;
    },
    nowNs: () => now.ns,
  });
  const ticks = (ns: bigint) => Number(BigInt.asUintN(32, ns / TICK));
  return {
    ...{ firsts, processes, now },
    of: (pid: number, ns: bigint) => firsts.nameOf(pid, ticks(ns), OTHER_THREAD),
    number: (pid: number, ns: bigint) => firsts.numberOf(pid, ticks(ns)),
  };
}

const named = (comm: string, startedNs: bigint): Named => ({ comm: Buffer.from(comm), startedNs });

test("a close is its process' when that is gone, if it was there at the connect", () => {
  const { firsts, processes, now, of } = world({ 7: named("java", BEGAN - SECOND) });
  expect(of(7, BEGAN)).toBe("java");
  delete processes[7];
  firsts.renew();
  now.ns += SECOND;
  expect(of(7, BEGAN)).toBe("java");
  // Of a process that has got the number since, and is gone as well, nothing is known.
  expect(of(7, BEGAN + SECOND / 2n)).toBeNull();
  expect(of(8, BEGAN)).toBeNull();
});

test("a process that began later than the event is another one", () => {
  const { now, of } = world({ 7: named("other", BEGAN + SECOND) });
  now.ns += 2n * SECOND;
  expect(of(7, BEGAN)).toBeNull();
  expect(of(7, BEGAN + SECOND)).toBe("other");
});

test("a process is asked for its name once a poll", () => {
  const { firsts, processes, now, of } = world({ 7: named("before", BEGAN - SECOND) });
  for (let n = 0; n < 5; n++) expect(of(7, BEGAN)).toBe("before");
  processes[7] = named("after", BEGAN - SECOND);
  firsts.renew();
  for (let n = 0; n < 5; n++) expect(of(7, BEGAN)).toBe("after");
  expect(now.asked).toBe(2);
});

test("what the kernel side noted names a process that is gone, and no other one of its number", () => {
  const noted = { 7: named("dig", BEGAN) };
  const { firsts, processes, now, of } = world({}, noted);
  expect(of(7, BEGAN)).toBe("dig");
  // Another name was noted since: which one the process had before is not known.
  noted[7] = named("go", BEGAN + SECOND);
  firsts.renew();
  now.ns += 2n * SECOND;
  expect(of(7, BEGAN)).toBeNull();
  expect(of(7, BEGAN + SECOND)).toBe("go");
  // The noted name is that of the call, that of /proc is what the process was called later.
  processes[7] = named("later", BEGAN - SECOND);
  firsts.renew();
  expect(of(7, BEGAN + SECOND)).toBe("go");
  expect(of(7, BEGAN)).toBe("later");
});

test("names have numbers for as long as a byte has some", () => {
  const { firsts, processes, number } = world({ 1: named("one", 0n), 2: named("two", 0n) });
  const one = number(1, BEGAN)!;
  expect(one).toBeGreaterThan(OTHER_THREAD);
  expect(firsts.nameOf(99, 0, one)).toBe("one");
  expect(firsts.nameOf(99, 0, number(2, BEGAN)!)).toBe("two");
  expect(firsts.nameOf(99, 0, number(3, BEGAN)!)).toBeNull();
  expect(number(1, BEGAN)).toBe(one);
  for (let pid = 10; pid < 1000; pid++) {
    processes[pid] = named(`p${pid}`, 0n);
    const n = number(pid, BEGAN);
    if (n === null) continue;
    expect(n).toBeLessThan(256);
    expect(firsts.nameOf(0, 0, n)).toBe(`p${pid}`);
  }
  expect(number(999, BEGAN)).toBeNull();
  expect(number(1, BEGAN)).toBe(one);
});

test.each(["http-nio-8080-e", "curl"])(
  "the thread's name %s ends before what lies behind it",
  (name) => {
    for (const of_thread of [0, OTHER_THREAD, 255]) {
      const view = new DataView(new ArrayBuffer(eventSize));
      const event = readEvent(view, 0);
      const owner = {
        ...event.owner,
        pid: 7,
        comm: Buffer.alloc(15, name + "\0".repeat(15)),
        of_thread,
      };
      writeEvent(view, 0, { ...event, owner });
      expect(toConnEvent(new EventView(view, 0), "connect", []).comm).toBe(name);
    }
  },
);
