import { describe, expect, test } from "bun:test";
import { costText } from "../../src/commands/cost.ts";
import { ownCost } from "../../src/kernel/own_cost.ts";
import { TimeWindows } from "../../src/trace/health/kernel_time.ts";

const own = { cpuUs: 123_456, wallUs: 8_600_000, peakBytes: 58_400_000 };

describe("the cost of a trace in words", () => {
  test("has time, memory and what the kernel took", () => {
    expect(costText(own, { ns: 4_100_000n, runs: 10_000n, ofNs: 1_000_000_000n })).toBe(
      "own cost: 0.12 s of CPU (1.4 % of one processor), 58 MB of memory at its peak; " +
        "in the kernel 410 ns per program run, 0.41 % of one processor",
    );
  });

  test("leaves out what is not known", () => {
    expect(costText({ ...own, peakBytes: null }, null)).toBe(
      "own cost: 0.12 s of CPU (1.4 % of one processor)",
    );
  });

  test.each([
    [34, "0.034 %"],
    [1_250_000, "1250 %"],
    [15_000, "15 %"],
  ])("%d of 100,000 us is %s of a processor", (cpuUs, share) => {
    expect(costText({ cpuUs, wallUs: 100_000, peakBytes: null }, null)).toContain(`(${share} of`);
  });
});

test("what this process cost is never less than before", () => {
  const before = ownCost();
  let burnt = 0;
  const until = performance.now() + 30;
  while (performance.now() < until) burnt += 1;
  const after = ownCost();
  expect(burnt).toBeGreaterThan(0);
  expect(after.cpuUs).toBeGreaterThan(before.cpuUs);
  expect(after.wallUs - before.wallUs).toBeGreaterThanOrEqual(29_000);
  // The kernel counts pages per CPU and tells the sum of what was put together: it can go back by what was not.
  const untold = 4 << 20;
  expect(after.peakBytes! + untold).toBeGreaterThanOrEqual(before.peakBytes!);
  expect(before.peakBytes).toBeGreaterThan(10_000_000);
});

describe("the time in the kernel", () => {
  const SECOND = 1_000_000_000n;
  /** A kernel whose programs run once a millisecond for 100 ns, counted while it is measured. */
  function kernel(can = true) {
    const state = { nowNs: 0n, measured: 0, asked: 0, runs: 7n };
    const windows = new TimeWindows({
      start() {
        state.asked += 1;
        if (!can) return null;
        state.measured += 1;
        return 42;
      },
      stop(handle) {
        expect(handle).toBe(42);
        state.measured -= 1;
      },
      // Runs before the first window were measured for another program.
      read: () => ({ ns: 1_000n + state.runs * 100n, runs: state.runs }),
    });
    const poll = (seconds: number) => {
      for (let n = 0; n < seconds * 10; n++) {
        if (state.measured > 0) state.runs += 100n;
        state.nowNs += SECOND / 10n;
        windows.polled(state.nowNs);
      }
    };
    return { state, windows, poll };
  }

  test("is measured for a second at the start, and then for one in thirty", () => {
    const { state, windows, poll } = kernel();
    poll(0.1);
    expect(state.measured).toBe(1);
    poll(1);
    expect(state.measured).toBe(0);
    poll(28);
    expect(state.asked).toBe(1);
    poll(2);
    expect(state.asked).toBe(2);
    poll(5);
    expect(state.measured).toBe(0);
    expect(windows.total(state.nowNs)).toEqual({ ns: 200_000n, runs: 2_000n, ofNs: 2n * SECOND });
  });

  test("is no longer measured than a second where nothing else asks for a poll", () => {
    const { state, windows, poll } = kernel();
    expect(windows.dueMs(state.nowNs)).toBe(Infinity);
    poll(0.1);
    expect(windows.dueMs(state.nowNs)).toBe(1000);
    poll(0.3);
    expect(windows.dueMs(state.nowNs)).toBe(700);
    poll(1);
    expect(windows.dueMs(state.nowNs)).toBe(Infinity);
  });

  test("of a trace shorter than a window is that of the trace, and the measuring ends with it", () => {
    const { state, windows, poll } = kernel();
    poll(0.5);
    expect(windows.total(state.nowNs)).toEqual({
      ns: 40_000n,
      runs: 400n,
      ofNs: (4n * SECOND) / 10n,
    });
    expect(state.measured).toBe(0);
  });

  test("ends with the trace, whatever its end", () => {
    const { state, windows, poll } = kernel();
    poll(0.5);
    windows[Symbol.dispose]();
    expect(state.measured).toBe(0);
  });

  test("is not known where the kernel does not measure, and that is asked once", () => {
    const { state, windows, poll } = kernel(false);
    poll(100);
    expect(windows.total(state.nowNs)).toBeNull();
    expect(state.asked).toBe(1);
  });
});
