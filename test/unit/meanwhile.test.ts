/** A long task gets only its share of the time. */
import { describe, expect, test } from "bun:test";
import { rationed } from "../../src/trace/meanwhile.ts";

/** Work of a given length, on a clock of its own. */
function worker(least = 0) {
  let now = 0;
  const run = rationed(least, () => now);
  const work = (ms: number) => run(() => (now += ms)) !== null;
  return { work, wait: (ms: number) => void (now += ms) };
}

describe("rationed work", () => {
  test("is done every time while it is short", () => {
    const { work } = worker();
    expect([work(99), work(99), work(99)]).toEqual([true, true, true]);
  });

  test("rests four times as long as it took when that was long", () => {
    const { work, wait } = worker();
    expect(work(500)).toBe(true);
    wait(1999);
    expect(work(1)).toBe(false);
    wait(1);
    expect(work(1)).toBe(true);
  });

  test("rests for the given time at least", () => {
    const { work, wait } = worker(1000);
    expect(work(1)).toBe(true);
    wait(999);
    expect(work(1)).toBe(false);
    wait(1);
    expect(work(1)).toBe(true);
  });
});
