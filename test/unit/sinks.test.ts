/** The loop and its sinks: several at once, one that throws, an end that comes once, an event loop that stays free. */
import { describe, expect, test } from "bun:test";
import type { TracedEvent } from "../../src/conn/identity.ts";
import type { Loss } from "../../src/output/losses.ts";
import { eventSize, readEvent } from "../../src/record/layout.gen.ts";
import type { Records } from "../../src/record/records.ts";
import { batchSink } from "../../src/sinks/batch.ts";
import { countSink } from "../../src/sinks/count.ts";
import { openLoop, type LoopOptions } from "../../src/sinks/loop.ts";
import type { Sink } from "../../src/sinks/sink.ts";
import { sieved, together } from "../../src/sinks/together.ts";
import { timeAt } from "../../src/trace/event.ts";
import { EventQueue } from "../../src/trace/stream/queue.ts";
import type { EventSink } from "../../src/trace/trace.ts";

const view = new DataView(new ArrayBuffer(eventSize));
const zeros = readEvent(view, 0);
const eventOf = (cookie: number) => ({ cookie, atNs: BigInt(cookie) }) as TracedEvent;

/** Each poll gives the next list: as records to a sink that takes records, else as events. */
function traceOf(...polls: number[][]) {
  const last: boolean[] = [];
  const losses: Loss[] = [{ cause: "ring full", count: 2n }];
  const trace: LoopOptions["trace"] = {
    pollInto(sink: EventSink, isLast: boolean) {
      last.push(isLast);
      for (const n of polls.shift() ?? [])
        if (sink.record?.(view, n, (_, p) => eventOf(p)) !== true) sink.event(eventOf(n));
      return true;
    },
    wait: () => Bun.sleep(1),
    sample() {},
    losses: () => losses,
  };
  return { trace, last };
}

/** Writes down what happens to it. */
function noting(name: string, notes: string[], more: Partial<Sink> = {}): Sink {
  return {
    event: ({ cookie }) => void notes.push(`${name} event ${cookie}`),
    tick: () => void notes.push(`${name} tick`),
    lost: ({ all }) => void notes.push(`${name} lost ${all.map(({ count }) => count).join()}`),
    end: async () => void notes.push(`${name} end`),
    ...more,
  };
}

function loopOf(trace: LoopOptions["trace"], sinks: Sink[], more: Partial<LoopOptions> = {}) {
  return openLoop({
    trace,
    sink: together(sinks),
    clocks: () => ({ monoNs: 0n, wallNs: 0n }),
    stop: new AbortController().signal,
    durationMs: 20,
    ...more,
  });
}

const caught = async (run: Promise<unknown>): Promise<string> => run.then(() => "no error", String);

describe("several sinks", () => {
  test("get each event, each poll, each loss and one end, in the order of the list", async () => {
    const notes: string[] = [];
    const done = { done: true };
    const loop = loopOf(traceOf([1, 2]).trace, [noting("a", notes), noting("b", notes, done)]);
    await loop.run();
    expect(notes).toEqual([
      ...["a event 1", "b event 1", "a event 2", "b event 2"],
      ...["a tick", "b tick", "a lost 2", "b lost 2", "a end", "b end"],
    ]);
  });

  test("of which one takes records and the others do not: all get the same, each once", async () => {
    const [records, events, batches] = [[] as number[], [] as number[], [] as number[][]];
    const taking: Sink = {
      // The second one is not for it as a record.
      record: (_, p) => p !== 2 && records.push(p) > 0,
      event: ({ cookie }) => void records.push(cookie),
    };
    const loop = loopOf(traceOf([1, 2, 3]).trace, [
      { event: ({ cookie }) => void events.push(cookie) },
      taking,
      batchSink((batch) => void batches.push(batch.map(({ cookie }) => cookie))),
      { done: true },
    ]);
    await loop.run();
    expect(records).toEqual([1, 2, 3]);
    expect(events).toEqual([1, 2, 3]);
    expect(batches).toEqual([[1, 2, 3]]);
  });

  test("of which one is full: none gets a further event, also not as a record", async () => {
    const records: number[] = [];
    const full: Sink = {
      get full() {
        return records.length >= 2;
      },
    };
    const events: number[] = [];
    await loopOf(traceOf([1, 2, 3], [4]).trace, [
      { record: (_, p) => records.push(p) > 0 },
      { event: ({ cookie }) => void events.push(cookie) },
      full,
    ]).run();
    expect({ records, events }).toEqual({ records: [1, 2], events: [1, 2] });
  });

  test("of which one is full after so many: the others get no more, however many records come at once", () => {
    const clocks = { monoNs: 0n, wallNs: 0n };
    for (let most = 0; most < 12; most++) {
      let made = 0;
      const asked: number[] = [];
      // Each second record becomes two events: a close that brings its accept along.
      const taking: Sink = {
        record: () => ++made > 0,
        records({ from, to }) {
          asked.push(to - from);
          for (let n = from; n < to; n++) made += 1 + (n % 2);
          return to - from;
        },
      };
      const lines = {
        get made() {
          return made;
        },
      };
      const all = together([together([taking, countSink(most, lines)])]);
      for (let n = 0; n < 20;) {
        const many: Records = { view, places: Int32Array.of(), from: n, to: 20, conditions: 0 };
        n += all.records!(many, clocks, () => eventOf(1)) || 1;
        if (all.full !== true) all.record!(view, 0, clocks, () => eventOf(1));
      }
      expect(made).toBe(most);
      expect(asked.length > 0).toBe(most > 1);
    }
  });

  test("of which one knows by itself of the records that another takes: it gets the events alone", () => {
    const [records, events] = [[] as number[], [] as number[]];
    const all = together([
      { record: (_, p) => p !== 2 && records.push(p) > 0, records: () => 7, event() {} },
      { carried: true, event: ({ cookie }) => void events.push(cookie) },
    ]);
    const clocks = { monoNs: 0n, wallNs: 0n };
    const many: Records = { view, places: Int32Array.of(), from: 0, to: 9, conditions: 0 };
    expect(all.records!(many, clocks, () => eventOf(0))).toBe(7);
    for (const n of [1, 2, 3])
      if (!all.record!(view, n, clocks, () => eventOf(n))) all.event!(eventOf(n), clocks);
    expect({ records, events }).toEqual({ records: [1, 3], events: [2] });
  });

  test("of which one wants lists gets short ones, and one after each poll", async () => {
    const lists: number[][] = [];
    const list = batchSink((events) => void lists.push(events.map(({ cookie }) => cookie)), 2);
    await loopOf(traceOf([1, 2, 3]).trace, [list, { done: true }]).run();
    expect(lists).toEqual([[1, 2], [3]]);
  });

  test("behind a sieve get only what it lets through, and the others everything", async () => {
    const [seen, shown] = [[] as string[], [] as string[]];
    await loopOf(traceOf([1, 2, 3, 4]).trace, [
      noting("all", seen),
      sieved(({ cookie }) => cookie % 2 === 0, noting("even", shown, { record: () => true })),
    ]).run();
    const events = (notes: string[]) => notes.filter((note) => note.includes("event"));
    expect(events(seen)).toHaveLength(4);
    expect(events(shown)).toEqual(["even event 2", "even event 4"]);
    expect(shown.at(-1)).toBe("even end");
  });

  test("behind a sieve get records only if they leave out records by themselves", () => {
    const taken: string[] = [];
    const taking: Sink = {
      event: ({ cookie }) => void taken.push(`event ${cookie}`),
      record: (_, p) => taken.push(`record ${p}`) > 0,
      records: () => taken.push("records"),
    };
    const even = ({ cookie }: TracedEvent) => cookie % 2 === 0;
    const clocks = { monoNs: 0n, wallNs: 0n };
    const many: Records = { view, places: Int32Array.of(0), from: 0, to: 1, conditions: 0 };

    const sifting = together([sieved(even, taking, true)]);
    expect(sifting.records!(many, clocks, () => eventOf(1))).toBe(1);
    expect(sifting.record!(view, 1, clocks, () => eventOf(1))).toBe(true);
    for (const n of [1, 2]) sifting.event!(eventOf(n), clocks);
    expect(taken.splice(0)).toEqual(["records", "record 1", "event 2"]);

    const sieving = together([sieved(even, taking)]);
    expect([sieving.records, sieving.record]).toEqual([undefined, undefined]);
    for (const n of [1, 2]) sieving.event!(eventOf(n), clocks);
    expect(taken).toEqual(["event 2"]);
  });

  test("add their losses to those of the trace", () => {
    const loop = loopOf(traceOf().trace, [
      { losses: () => [{ cause: "read too slowly", count: 3n }] },
      { losses: () => [{ cause: "not recorded", count: 0n }] },
    ]);
    expect(loop.losses().before).toEqual([{ cause: "ring full", count: 2n }]);
    expect(loop.losses().all).toEqual([
      { cause: "ring full", count: 2n },
      { cause: "read too slowly", count: 3n },
    ]);
    loop.unref();
  });
});

describe("a sink that throws", () => {
  const failing = () => {
    throw new Error("the disk is gone");
  };

  test.each(["event", "tick", "lost", "record"] as const)(
    "in %s ends the trace by its error, after one end of every sink",
    async (member) => {
      const notes: string[] = [];
      const { trace, last } = traceOf([1], [2]);
      const sinks = [
        noting("a", notes),
        noting("b", notes, { [member]: failing }),
        noting("c", notes),
      ];
      const loop = loopOf(trace, sinks);
      expect(await caught(loop.run())).toBe("Error: the disk is gone");
      expect(notes.filter((note) => note.endsWith("end"))).toEqual(["a end", "b end", "c end"]);
      expect(last).toEqual([false]);
    },
  );

  test("in its end keeps no other sink from its end", async () => {
    const notes: string[] = [];
    const sinks = [noting("a", notes, { end: async () => failing() }), noting("b", notes)];
    expect(await caught(loopOf(traceOf().trace, sinks).run())).toBe("Error: the disk is gone");
    expect(notes.at(-1)).toBe("b end");
  });
});

describe("an end comes once", () => {
  const ends = async (more: Partial<LoopOptions>, sink: Partial<Sink> = {}): Promise<number> => {
    let count = 0;
    const ending: Sink = { ...sink, end: async () => void count++ };
    await caught(loopOf(more.trace ?? traceOf([1]).trace, [ending], more).run());
    return count;
  };

  test("after the time is over, by a signal, by a sink that is done, by rings that cannot be read", async () => {
    expect(await ends({})).toBe(1);
    expect(await ends({ durationMs: null, stop: AbortSignal.abort() })).toBe(1);
    expect(await ends({ durationMs: null }, { done: true })).toBe(1);
    const trace = traceOf().trace;
    trace.pollInto = () => {
      throw new Error("no ring");
    };
    expect(await ends({ trace })).toBe(1);
  });

  test("and no poll comes after a cancel, though a wait was under way", async () => {
    const { trace, last } = traceOf([1]);
    const stop = new AbortController();
    trace.wait = () => new Promise(() => {});
    const loop = loopOf(trace, [], { durationMs: null, stop: stop.signal });
    const run = loop.run();
    await Bun.sleep(1);
    loop.poll(true);
    loop.cancel();
    stop.abort();
    await run;
    expect(last).toEqual([false, true]);
  });
});

describe("the event loop", () => {
  /** The largest number that was counted between two turns of the event loop. */
  async function mostPerTurn(counted: () => number, during: Promise<unknown>): Promise<number> {
    let [most, before, over] = [0, 0, false];
    void during.finally(() => (over = true));
    while (!over) {
      most = Math.max(most, counted() - before);
      before = counted();
      await new Promise((resolve) => void setImmediate(resolve));
    }
    return most;
  }

  const EVENT_MS = 0.1;
  const busy = (ms: number): void => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };

  /** A burst of events in one poll, put in order by the real queue. */
  function burst(count: number) {
    const { trace } = traceOf();
    const all = new EventQueue();
    for (let n = 0; n < count; n++) all.push({ ...zeros, timestamp: BigInt(n) });
    trace.pollInto = (sink, _, enough) =>
      all.take(Infinity, (bytes, p) => sink.event(eventOf(timeAt(bytes, p))), enough);
    return trace;
  }

  test("gets a turn at least every 50 ms while a burst goes to a sink that takes its time", async () => {
    const seen: number[] = [];
    let ticks = 0;
    const slow: Sink = {
      event({ cookie }) {
        seen.push(cookie);
        busy(EVENT_MS);
      },
      tick: () => void ticks++,
      get done() {
        return seen.length === 5_000;
      },
    };
    // Half a second of work.
    const run = loopOf(burst(5_000), [slow], { durationMs: null }).run();
    // Events that take 0.1 ms each, rather than a clock that other programs can delay.
    expect(await mostPerTurn(() => seen.length, run)).toBeLessThan(50 / EVENT_MS);
    expect(seen).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
    expect(ticks).toBe(1);
  });

  test("is asked for in between: a poll meanwhile takes the rest of the burst, and nothing comes twice", async () => {
    const batches: number[][] = [];
    const stop = new AbortController();
    const slow: Sink = { event: () => busy(EVENT_MS) };
    const batch = batchSink((events) => void batches.push(events.map(({ cookie }) => cookie)));
    const loop = loopOf(burst(1_000), [slow, batch], { durationMs: null, stop: stop.signal });
    const run = loop.run();
    expect(batches).toEqual([]);
    loop.poll();
    expect(batches).toEqual([Array.from({ length: 1_000 }, (_, n) => n)]);
    stop.abort();
    await run;
    expect(batches.flat()).toHaveLength(1_000);
  });
});
