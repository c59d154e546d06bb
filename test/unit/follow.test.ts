import { describe, expect, spyOn, test } from "bun:test";
import { follow, type FollowOptions, type Summary } from "../../src/commands/follow.ts";
import { lossText } from "../../src/commands/losses.ts";
import type { ConnEvent } from "../../src/conn/event.ts";
import { Failure } from "../../src/errors.ts";
import type { TracedEvent } from "../../src/conn/identity.ts";
import type { Loss } from "../../src/output/losses.ts";
import { createWriter, type LineWriter } from "../../src/output/writer.ts";
import type { EventSink } from "../../src/trace/trace.ts";

/** A trace of numbered events: each poll takes the next list, then nothing. */
function traceOf(...polls: number[][]) {
  const losses: Loss[] = [];
  const trace = {
    polls: 0,
    /** Whether each poll was told to be the last. */
    last: [] as boolean[],
    poll: (last: boolean): TracedEvent[] => {
      trace.polls += 1;
      trace.last.push(last);
      return (polls.shift() ?? []).map(eventAt);
    },
    pollInto: (sink: EventSink, last: boolean): boolean => {
      for (const event of trace.poll(last)) sink.event(event);
      return true;
    },
    wait: (leastMs: number, _mostMs?: number, _readerFd?: number): Promise<void> =>
      Bun.sleep(leastMs),
    samples: 0,
    /** Whether each look was for all connections. */
    all: [] as (boolean | undefined)[],
    sample: (all?: boolean) => {
      trace.samples += 1;
      trace.all.push(all);
    },
    losses: () => losses,
  };
  return { trace, losses };
}

function eventAt(n: number): TracedEvent {
  const end = { address: "127.0.0.1", port: 1 };
  return {
    kind: "connect",
    protocol: "tcp",
    atNs: BigInt(n),
    pid: n,
    comm: null,
    family: 4,
    direction: "outgoing",
    netns: null,
    local: end,
    remote: end,
    cookie: n,
  };
}

function setup(options: Partial<FollowOptions>) {
  const written: string[] = [];
  const warnings: string[] = [];
  const full: FollowOptions = {
    trace: traceOf().trace,
    format: { header: null, line: (event) => `${event.atNs}` },
    writer: createWriter((bytes) =>
      Promise.resolve(written.push(Buffer.from(bytes).toString())).then(() => bytes.length),
    ),
    clocks: () => ({ monoNs: 0n, wallNs: 0n }),
    durationMs: null,
    count: null,
    intervalMs: null,
    stop: new AbortController().signal,
    warn: (line) => warnings.push(line),
    ...options,
  };
  return { full, warnings, lines: () => written.join("").split("\n").slice(0, -1) };
}

describe("a trace ends", () => {
  test("after exactly --count lines, though more came in the same poll", async () => {
    const { trace } = traceOf([1, 2, 3], [4, 5, 6, 7]);
    const { full, lines } = setup({ trace, count: 5 });
    expect(await follow(full)).toEqual({ shown: 5, losses: [], readerLeft: false });
    expect(lines()).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("after --count lines that are shown: what a filter hides does not count", async () => {
    const { trace } = traceOf([1, 2, 3, 4], [5, 6, 7, 8]);
    const asked: number[] = [];
    const shows = ({ atNs }: ConnEvent) => asked.push(Number(atNs)) > 0 && atNs % 2n === 0n;
    const { full, lines } = setup({ trace, count: 3, shows });
    expect(await follow(full)).toEqual({ shown: 3, losses: [], readerLeft: false });
    expect(lines()).toEqual(["2", "4", "6"]);
    expect(asked).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test.each([1, 2])(
    "where the lines sift records, a recorder beside them gets what is shown alone (%i sinks)",
    async (sinks) => {
      const { trace } = traceOf();
      const given = [1, 2, 3, 4];
      // As a trace gives records: what no sink takes as one becomes an event.
      trace.pollInto = (sink, last) => {
        for (const n of given.splice(0))
          if (sink.record?.(new DataView(new ArrayBuffer(0)), n, (_, p) => eventAt(p)) !== true)
            sink.event(eventAt(n));
        return last || true;
      };
      const stop = new AbortController();
      trace.wait = async () => stop.abort();
      const recorded: bigint[] = [];
      const recorder: FollowOptions["recorder"] = {
        take: (events) => void recorded.push(...events.map(({ atNs }) => atNs)),
        ...{ into: () => null, handOn() {} },
        tell: () => {},
        unsaved: () => ({ cause: "not recorded", count: 0n }),
        pending: 0,
        failure: null,
        end: async () => {},
      };
      const { full, lines } = setup({
        trace,
        stop: stop.signal,
        shows: ({ atNs }) => atNs % 2n === 0n,
        ...(sinks === 2 ? { recorder } : {}),
      });
      full.format = {
        ...full.format,
        sifts: true,
        appendRecord: (out, _view, p) => (p % 2 === 0 && out.line(String(p)), true),
      };
      await follow(full);
      expect(lines()).toEqual(["2", "4"]);
      expect(recorded).toEqual(sinks === 2 ? [2n, 4n] : []);
    },
  );

  test.each([
    [false, { lines: ["2", "4"], events: [], dropped: 0n }],
    // Of a record that no line is made of its event is told, whose line is dropped.
    [true, { lines: [], events: [2, 4], dropped: 2n }],
  ])(
    "what knows of records by itself gets their events only while the reader stands still (%p)",
    async (stands, told) => {
      const { trace } = traceOf();
      const given = [1, 2, 3, 4];
      trace.pollInto = (sink, last) => {
        const describe = () => {
          throw new Error("nobody needs an event of a record");
        };
        for (const n of given.splice(0))
          if (sink.record?.(new DataView(new ArrayBuffer(0)), n, describe) !== true)
            sink.event(eventAt(n));
        return last || true;
      };
      const stop = new AbortController();
      trace.wait = async () => stop.abort();
      let settled = 0;
      const events: number[] = [];
      const { full, lines } = setup({
        trace,
        stop: stop.signal,
        shows: ({ atNs }) => atNs % 2n === 0n,
        expected: { see: ({ atNs }) => void events.push(Number(atNs)), met: false },
      });
      full.writer = Object.defineProperty(full.writer, "full", { value: stands });
      full.format = {
        ...full.format,
        ...{ sifts: true, carries: true },
        appendRecord: (out, _view, p) => (p % 2 === 0 && out.line(String(p)), true),
        settle: () => void settled++,
      };
      await follow(full);
      expect({ lines: lines(), events, dropped: full.writer.dropped }).toEqual(told);
      expect(settled).toBe(1);
    },
  );

  test("and waits between two polls for a tenth of a second at least, events or not, shown or not", async () => {
    const stop = new AbortController();
    const { trace } = traceOf([1], [], [2]);
    const waits: number[][] = [];
    const wait = (...ms: number[]) => {
      waits.push(ms);
      if (trace.polls === 4) stop.abort();
      return Bun.sleep(1);
    };
    const waiting = Object.assign(trace, { wait });
    const { full } = setup({
      trace: waiting,
      readerFd: 7,
      shows: (event) => event.pid === 1,
      stop: stop.signal,
    });
    expect((await follow(full)).shown).toBe(1);
    // The first line was pending then, and what becomes of it is told of soon.
    expect(waits).toEqual([
      [100, 100, 7],
      [100, 60_000, 7],
      [100, 60_000, 7],
      [100, 60_000, 7],
    ]);
    expect(trace.last).toEqual([false, false, false, false, true]);
  });

  test("after --count lines also where a burst is handed on in pieces, none of them larger than it need be", async () => {
    const { trace } = traceOf(Array.from({ length: 50 }, (_, n) => n));
    const handed: number[] = [];
    const writer: LineWriter = {
      push: () => 0,
      pushLines(lines) {
        const { count } = lines;
        handed.push(lines.used);
        lines.take().done();
        return count;
      },
      full: false,
      drop() {},
      pushAside: () => true,
      settled: async () => {},
      dropped: 0n,
      pending: 0,
      closed: false,
      failure: null,
    };
    const format = { header: null, line: () => "x".repeat(100_000) };
    expect((await follow(setup({ trace, format, writer, count: 45 }).full)).shown).toBe(45);
    expect(Math.max(...handed)).toBeLessThan((1 << 20) + 100_002);
    expect(handed.reduce((sum, bytes) => sum + bytes, 0)).toBe(45 * 100_001);
  });

  test("at once when all that is expected has been shown, the lines of that poll included", async () => {
    const { trace } = traceOf([1, 2], [3, 4, 5], [6]);
    const seen: [number, bigint][] = [];
    const expected = {
      see: ({ atNs }: ConnEvent, wallNs: bigint) => void seen.push([Number(atNs), wallNs]),
      get met() {
        return seen.some(([n]) => n === 4);
      },
    };
    const clocks = () => ({ monoNs: 0n, wallNs: 1000n });
    const shows = ({ atNs }: ConnEvent) => atNs !== 3n;
    const { full, lines } = setup({ trace, expected, clocks, shows });
    expect((await follow(full)).shown).toBe(4);
    expect(lines()).toEqual(["1", "2", "4", "5"]);
    expect(seen).toEqual([
      [1, 1001n],
      [2, 1002n],
      [4, 1004n],
      [5, 1005n],
    ]);
    expect(trace.last).toEqual([false, false]);
  });

  test("on a signal, after one more poll", async () => {
    const stop = new AbortController();
    const { trace } = traceOf([1], [2]);
    const poll = trace.poll;
    trace.poll = (last) => {
      stop.abort();
      return poll(last);
    };
    const { full, lines } = setup({ trace, stop: stop.signal });
    await follow(full);
    expect(lines()).toEqual(["1", "2"]);
    expect(trace.last).toEqual([false, true]);
  });

  test("at once when the signal came before the first poll, what was there is still shown", async () => {
    const { trace } = traceOf([1]);
    const { full, lines } = setup({ trace, stop: AbortSignal.abort() });
    await follow(full);
    expect(lines()).toEqual(["1"]);
    expect(trace.polls).toBe(1);
  });

  test("after --duration, with a last poll at its end", async () => {
    const { trace } = traceOf([1], [2]);
    const begun = performance.now();
    const { full, lines } = setup({ trace, durationMs: 20 });
    await follow(full);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(19);
    expect(lines()).toEqual(["1", "2"]);
  });

  test("quietly when the reader is gone", async () => {
    const { trace } = traceOf([1]);
    const gone = Object.assign(new Error("EPIPE"), { code: "EPIPE" });
    const { full, warnings } = setup({ trace, writer: createWriter(() => Promise.reject(gone)) });
    expect((await follow(full)).readerLeft).toBe(true);
    expect(warnings).toEqual([]);
  });

  test("quietly when the reader is gone, though there is nothing to write", async () => {
    const { trace } = traceOf([1]);
    let asked = 0;
    const { full, lines, warnings } = setup({ trace, readerGone: () => ++asked === 3 });
    expect((await follow(full)).readerLeft).toBe(true);
    expect(trace.polls).toBe(3);
    expect(lines()).toEqual(["1"]);
    expect(warnings).toEqual([]);
  });

  test("with a failure when the disk is full", async () => {
    const { trace } = traceOf([1]);
    const fullDisk = Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    const { full } = setup({ trace, writer: createWriter(() => Promise.reject(fullDisk)) });
    const thrown: unknown = await follow(full).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(Failure);
    expect(String(thrown)).toContain("stdout: cannot write");
  });

  test("on a signal even when the reader stands still, and counts what was not delivered", async () => {
    const { trace } = traceOf([1, 2, 3]);
    const writer = createWriter(() => new Promise(() => {}));
    const { full } = setup({ trace, writer, stop: AbortSignal.abort() });
    const { shown, losses } = await follow(full);
    expect(shown).toBe(0);
    expect(losses).toEqual([{ cause: "output read too slowly", count: 3n }]);
  });
});

test("a header comes first and counts as no event", async () => {
  const { trace } = traceOf([1]);
  const { full, lines } = setup({ trace, count: 1, format: { header: "H", line: () => "x" } });
  expect((await follow(full)).shown).toBe(1);
  expect(lines()).toEqual(["H", "x"]);
});

describe("losses", () => {
  /** However slow the machine is, no second passes. */
  async function withinASecond(options: FollowOptions): Promise<Summary> {
    const clock = spyOn(performance, "now").mockReturnValue(5_000);
    try {
      return await follow(options);
    } finally {
      clock.mockRestore();
    }
  }

  test("are told at most once a second, and all of them in the summary", async () => {
    const { trace, losses } = traceOf([1], [2], [3]);
    losses.push({ cause: "ring full", count: 0n }, { cause: "map full", count: 7n });
    const poll = trace.poll;
    trace.poll = (last) => {
      losses[0]!.count += 10n;
      return poll(last);
    };
    const { full, warnings } = setup({ trace, count: 3 });
    const summary = await withinASecond(full);
    expect(warnings).toEqual(["lost 17 events: ring full 10, map full 7"]);
    expect(summary.losses).toEqual([
      { cause: "ring full", count: 30n },
      { cause: "map full", count: 7n },
    ]);
  });

  const lostFormat: FollowOptions["format"] = {
    header: "H",
    line: (event) => `${event.atNs}`,
    lost: ({ cause, count }, wallNs) => `lost ${cause} ${count} at ${wallNs}`,
  };

  test("are lines of their own where the format has some, at most one per cause and second, the rest at the end", async () => {
    const { trace, losses } = traceOf([1], [2], [3]);
    losses.push({ cause: "ring full", count: 0n }, { cause: "map full", count: 7n });
    const poll = trace.poll;
    trace.poll = (last) => {
      losses[0]!.count += 10n;
      return poll(last);
    };
    const clocks = () => ({ monoNs: 5n, wallNs: 25n });
    const { full, lines } = setup({ trace, count: 3, format: lostFormat, clocks });
    // They are no events: neither --count nor the summary counts them.
    expect((await withinASecond(full)).shown).toBe(3);
    expect(lines()).toEqual([
      ...["H", "1", "lost ring full 10 at 25", "lost map full 7 at 25"],
      ...["2", "3", "lost ring full 20 at 25"],
    ]);
  });

  test("to a slow reader are a line of its own once it takes lines again", async () => {
    const gate = Promise.withResolvers<void>();
    const written: string[] = [];
    const writer = createWriter(async (bytes) => {
      await gate.promise;
      written.push(Buffer.from(bytes).toString());
      return bytes.length;
    }, 12);
    const { trace } = traceOf([1, 2], [3, 4, 5, 6, 7, 8, 9]);
    const poll = trace.poll;
    trace.poll = (last) => {
      if (trace.polls === 2) gate.resolve();
      return poll(last);
    };
    const stop = new AbortController();
    trace.wait = async () => void (trace.polls === 3 && stop.abort());
    const { full } = setup({ trace, writer, stop: stop.signal });
    full.format = { ...lostFormat, header: null, lost: ({ count }) => `L${count}` };
    const { shown, losses } = await follow(full);
    expect({ shown, losses }).toEqual({
      shown: 6,
      losses: [{ cause: "output read too slowly", count: 3n }],
    });
    expect(written.join("")).toBe("1\n2\n3\n4\n5\n6\nL3\n");
  });

  test("to a reader that stands still are counted without a line being made of each", async () => {
    const writer = createWriter(() => new Promise(() => {}), 12);
    const { trace } = traceOf([1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11], [12, 13]);
    const stop = new AbortController();
    const made: bigint[] = [];
    const { full } = setup({ trace, writer, stop: stop.signal });
    full.format = {
      header: null,
      line({ atNs }) {
        made.push(atNs);
        return `${atNs}`;
      },
    };
    trace.wait = async () => void (trace.polls === 3 && stop.abort());
    const { shown, losses } = await follow(full);
    // Six lines had room and are still pending; the seventh and the eighth showed that there is none.
    expect(made).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
    expect({ shown, losses }).toEqual({
      shown: 0,
      losses: [{ cause: "output read too slowly", count: 13n }],
    });
  });

  test("that a recorder reports are told, and its failure once", async () => {
    const taken: bigint[] = [];
    const told: Loss[][] = [];
    let ended = 0;
    const { trace, losses } = traceOf([1], [2]);
    losses.push({ cause: "ring full", count: 1n });
    const recorder: FollowOptions["recorder"] = {
      take: (events) => void taken.push(...events.map(({ atNs }) => atNs)),
      ...{ into: () => null, handOn() {} },
      tell: (all) => void told.push([...all]),
      unsaved: () => ({ cause: "not recorded", count: 2n }),
      pending: 0,
      failure: new Failure("F: cannot be used", { why: "no space is left" }),
      end: async () => void (ended += 1),
    };
    const { full, warnings, lines } = setup({ trace, recorder, count: 2, format: lostFormat });
    const summary = await follow(full);
    expect(taken).toEqual([1n, 2n]);
    expect(told.at(-1)).toEqual([{ cause: "ring full", count: 1n }]);
    expect(ended).toBe(1);
    expect(warnings).toEqual([
      "F: cannot be used: no space is left; recording has stopped, tracing goes on",
      "lost 3 events: ring full 1, not recorded 2",
    ]);
    expect(summary.losses).toEqual([
      { cause: "ring full", count: 1n },
      { cause: "not recorded", count: 2n },
    ]);
    // The line that is missing in the recording is not missing here.
    expect(lines().filter((line) => line.startsWith("lost"))).toEqual(["lost ring full 1 at 0"]);
  });

  test("of one cause are named without repeating the number", () => {
    expect(lossText([{ cause: "ring full", count: 1n }])).toBe("1 event: ring full");
    expect(lossText([{ cause: "ring full", count: 2n }])).toBe("2 events: ring full");
  });
});

test("what a recorder has to write is told of soon, however quiet the kernel is", async () => {
  const { trace } = traceOf();
  const pendings = [2, 2, 1, 0];
  const longest: number[] = [];
  const recorder: FollowOptions["recorder"] = {
    take() {},
    into: () => null,
    handOn() {},
    tell() {},
    unsaved: () => ({ cause: "not recorded", count: 0n }),
    get pending() {
      return pendings[Math.min(trace.polls, pendings.length) - 1]!;
    },
    failure: null,
    end: async () => {},
  };
  const stop = new AbortController();
  const waiting = {
    ...trace,
    poll: (last: boolean) => trace.poll(last),
    wait(_: number, mostMs: number) {
      longest.push(mostMs);
      if (trace.polls === 4) stop.abort();
      return Bun.sleep(1);
    },
  };
  await follow(setup({ trace: waiting, recorder, stop: stop.signal }).full);
  expect(longest).toEqual([100, 100, 100, 60_000]);
});

test("a signal ends the trace at once, however long it would have waited", async () => {
  const { trace } = traceOf();
  const stop = new AbortController();
  const waiting = Object.assign(trace, { wait: () => new Promise<void>(() => {}) });
  setTimeout(() => stop.abort(), 1);
  await follow(setup({ trace: waiting, stop: stop.signal }).full);
  expect(trace.last).toEqual([false, true]);
});

describe("open connections", () => {
  test("are looked at once per interval, and at the end", async () => {
    const { trace } = traceOf();
    const stop = new AbortController();
    const waiting = Object.assign(trace, {
      wait: () => {
        if (trace.samples >= 3) stop.abort();
        return Bun.sleep(1);
      },
    });
    const began = performance.now();
    await follow(setup({ trace: waiting, intervalMs: 50, stop: stop.signal }).full);
    // A machine that stands still skips some.
    const intervals = Math.ceil((performance.now() - began) / 50);
    expect(trace.samples).toBeGreaterThanOrEqual(4);
    expect(trace.samples).toBeLessThanOrEqual(intervals + 1);
    expect(trace.polls).toBeGreaterThanOrEqual(trace.samples);
  });

  test("are all told of at the end, with or without an interval, if that is asked for", async () => {
    const { trace } = traceOf();
    await follow(setup({ trace, durationMs: 120, final: true }).full);
    expect(trace.all).toEqual([true]);
    expect(trace.last.at(-1)).toBeTrue();
    const other = traceOf().trace;
    await follow(setup({ trace: other, durationMs: 120, intervalMs: 50, final: true }).full);
    expect(other.all.at(-1)).toBeTrue();
    expect(other.all.slice(0, -1)).not.toContain(true);
  });

  test("are lines at the end also where samples before were for metrics alone", async () => {
    const { trace } = traceOf();
    const sampled = (n: number): TracedEvent => ({ ...eventAt(n), kind: "sample" });
    let polls = 0;
    const pollInto = (sink: EventSink, last: boolean): boolean => {
      sink.event(sampled(last ? 99 : ++polls));
      return true;
    };
    const seen: bigint[] = [];
    const { full, lines } = setup({
      trace: { ...trace, pollInto },
      durationMs: 250,
      final: true,
      exporter: {
        sink: { event: ({ atNs }) => void seen.push(atNs) },
        begin: async () => {},
        gone() {},
      },
    });
    await follow(full);
    expect(lines()).toEqual(["99"]);
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.at(-1)).toBe(99n);
  });

  test("are not looked at unless asked", async () => {
    const { trace } = traceOf();
    await follow(setup({ trace, durationMs: 120 }).full);
    expect(trace.samples).toBe(0);
  });
});
