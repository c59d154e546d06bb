import { describe, expect, test } from "bun:test";
import { parseCount, parseDuration } from "../../src/commands/flags.ts";
import { followStep, isoMicros, timeOfDay, utc, wallTime } from "../../src/conn/clock.ts";
import { UsageError } from "../../src/errors.ts";
import {
  briefBytes,
  briefDuration,
  durationText,
  microseconds,
  secondsText,
} from "../../src/output/numbers.ts";
import { fc, runs } from "./drive/random.ts";

describe("--duration", () => {
  test.each([
    ["10s", 10_000],
    ["500ms", 500],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["7", 7_000],
    ["1.5m", 90_000],
    ["0.25", 250],
  ])("%s is %d ms", (text, ms) => {
    expect(parseDuration(text, "t")).toBe(ms);
  });

  test.each([
    "",
    "s",
    "10x",
    "10 s",
    "-1s",
    "1m30s",
    "1e3",
    "0",
    "0.1ms",
    "Infinity",
    "9".repeat(400),
    "1.",
    "٣s",
  ])("%p is refused with an example", (text) => {
    expect(() => parseDuration(text, "t")).toThrow(UsageError);
  });
});

describe("--count", () => {
  test.each(["1", "10", "9007199254740991"])("%s is a count", (text) => {
    expect(parseCount(text, "t")).toBe(Number(text));
  });

  test.each(["", "0", "-1", "1.5", "1e3", "0x10", " 1", "9007199254740993"])(
    "%p is refused",
    (text) => {
      expect(() => parseCount(text, "t")).toThrow(UsageError);
    },
  );
});

describe("the two clocks", () => {
  const pair = { monoNs: 1_000_000_000n, wallNs: 1_795_372_801_123_456_789n };

  test("an event before and after the reading keeps its nanoseconds", () => {
    expect(wallTime(1_000_000_001n, pair)).toBe(pair.wallNs + 1n);
    expect(wallTime(0n, pair)).toBe(pair.wallNs - 1_000_000_000n);
  });

  test("JSON time is UTC with six digits, zeros kept", () => {
    expect(isoMicros(pair.wallNs)).toBe("2026-11-22T18:40:01.123456Z");
    expect(isoMicros(1_795_372_801_000_007_999n)).toBe("2026-11-22T18:40:01.000007Z");
  });

  test("no u64 of nanoseconds makes it throw", () => {
    expect(isoMicros(2n ** 64n - 1n)).toBe("2554-07-21T23:34:33.709551Z");
    expect(isoMicros(0n)).toBe("1970-01-01T00:00:00.000000Z");
  });

  test("text time is the local time of day", () => {
    const wallNs = 1_795_334_641_007_999_999n;
    expect(timeOfDay(wallNs, utc)).toBe("08:04:01.007");
    // The offset is that of the time itself.
    const summer = (second: number) => (second < 1_795_334_641 ? 7200 : 3600);
    expect(timeOfDay(wallNs, summer)).toBe("09:04:01.007");
    expect(timeOfDay(wallNs - 8_000_000n, summer)).toBe("10:04:00.999");
    expect(timeOfDay(wallNs, () => -9 * 3600)).toBe("23:04:01.007");
  });

  test("jitter of the readings is ignored, a step of the wall clock is followed", () => {
    const jitter = { monoNs: 2_000_000_000n, wallNs: pair.wallNs + 1_000_004_000n };
    const forward = { monoNs: 2_000_000_000n, wallNs: pair.wallNs + 3_600_000_000_000n };
    const back = { monoNs: 2_000_000_000n, wallNs: pair.wallNs };
    expect(followStep(pair, jitter)).toBe(pair);
    expect(followStep(pair, forward)).toBe(forward);
    expect(followStep(pair, back)).toBe(back);
  });

  test("a step is not followed that may be the time between the two readings", () => {
    const late = { monoNs: 2_000_000_000n, wallNs: pair.wallNs + 1_008_000_000n };
    expect(followStep(pair, { ...late, withinNs: 9_000_000n })).toBe(pair);
    const sure = { ...late, withinNs: 1_000n };
    expect(followStep(pair, sure)).toBe(sure);
  });
});

test.each([
  [0n, "0.000ms"],
  [45n, "0.045ms"],
  [999_999n, "999.999ms"],
  [1_000_000n, "1.000s"],
  [3_600_000_000n, "3600.000s"],
])("%d us reads %s", (us, text) => {
  expect(durationText(us)).toBe(text);
});

describe("brief numbers", () => {
  test.each<[bigint, string]>([
    [0n, "0"],
    [9_999n, "9999"],
    [10_000n, "9.8K"],
    [10_188n, "9.9K"],
    [10_189n, "10K"],
    [1_023_487n, "999K"],
    [1_023_489n, "1.0M"],
    [1_299_900n, "1.2M"],
    [5n * 2n ** 30n, "5.0G"],
    [2n ** 64n - 1n, "16E"],
  ])("%d bytes are %s", (bytes, text) => {
    expect(briefBytes(bytes)).toBe(text);
  });

  test.each<[bigint, string]>([
    [0n, "0us"],
    [999n, "999us"],
    [1_000n, "1.00ms"],
    [3_588n, "3.59ms"],
    [999_499n, "999ms"],
    [999_500n, "1.00s"],
    [99_949_999n, "99.9s"],
    [99_950_000n, "1m39s"],
    [3_599_999_999n, "59m59s"],
    [3_600_000_000n, "1h0m"],
    [86_399_999_999n, "23h59m"],
    [100_000n * 3_600_000_000n, "4166d16h"],
  ])("%d us are %s", (us, text) => {
    expect(briefDuration(us)).toBe(text);
  });

  test("bytes take four columns at most, a year seven, and both are right within 5 %", () => {
    const units: Record<string, number> = { us: 1, ms: 1e3, s: 1e6, m: 6e7, h: 3.6e9, d: 8.64e10 };
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (bytes) => {
        const text = briefBytes(bytes);
        const [, digits, unit = ""] = /^([\d.]+)([KMGTPE]?)$/.exec(text) ?? [];
        expect(text.length).toBeLessThanOrEqual(4);
        const read = Number(digits) * 1024 ** " KMGTPE".indexOf(unit || " ");
        expect(Math.abs(read - Number(bytes))).toBeLessThanOrEqual(Number(bytes) * 0.05);
      }),
    );
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 365n * 86_400_000_000n }), (us) => {
        const text = briefDuration(us);
        expect(text.length).toBeLessThanOrEqual(7);
        const parts = [...text.matchAll(/([\d.]+)([a-z]+)/g)];
        const read = parts.reduce((sum, [, n, unit]) => sum + Number(n) * units[unit!]!, 0);
        expect(Math.abs(read - Number(us))).toBeLessThanOrEqual(Number(us) * 0.05);
      }),
    );
  });

  test.each<[bigint, string]>([
    [0n, "0.000000"],
    [12_345_678n, "12.345678"],
    [-1n, "-0.000001"],
  ])("%d us are %s seconds", (us, text) => {
    expect(secondsText(us)).toBe(text);
  });
});

test("whole microseconds of any nanoseconds that a double holds are those of a bigint", () => {
  const right = (ns: number) => Number(BigInt(ns) / 1000n);
  // Where a double is coarsest, those a thousandth below the next whole number.
  const largest = Number.MAX_SAFE_INTEGER - (Number.MAX_SAFE_INTEGER % 1000) - 1;
  for (let ns = largest; ns > largest - 100_000; ns -= 1000)
    expect(microseconds(ns)).toBe(right(ns));
  fc.assert(
    fc.property(fc.maxSafeNat(), (ns) => expect(microseconds(ns)).toBe(right(ns))),
    runs(1000),
  );
});
