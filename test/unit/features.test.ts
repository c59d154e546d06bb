/** The table of kernel differences, and how it is asked. */
import { describe, expect, test } from "bun:test";
import { featureNames, features } from "../../src/kernel/feature_table.ts";
import { askFeatures } from "../../src/kernel/features.ts";
import { isAtLeast } from "../../src/kernel/release.ts";
import type { Shim } from "../../src/kernel/shim.ts";

/** A kernel of the release 4.18 that has what newer ones have. */
const backported = {
  hasTestRun: () => true,
  hasLru: () => true,
  hasHelper: () => true,
  hasTracepoint: () => true,
  plainLoads: () => ({ cast: 1, words: 2, firstSubflow: 0 }),
  debugfs: () => null,
} as unknown as Shim;
/** A kernel that loads no program. */
const silent = { ...backported, hasTestRun: () => null } as unknown as Shim;

describe("a feature", () => {
  test("is there where the kernel has the ability, whatever its release is", () => {
    const asked = askFeatures(backported, "4.18.0-553.el8");
    for (const name of ["test_run", "memcg_accounting", "udp_lengths", "current_task"] as const)
      expect([name, asked.has(name)]).toEqual([name, true]);
  });

  test("is not there where a newer kernel lacks the ability", () => {
    const without = { ...backported, hasTestRun: () => false, hasHelper: () => false };
    const asked = askFeatures(without, "6.12.0");
    expect(asked.has("test_run")).toBe(false);
    expect(asked.helpers()).toEqual(new Set());
    expect(asked.missing()).toContain("memcg_accounting");
  });

  test.each([
    ["5.9.0", false],
    ["5.10.0", true],
    ["unreadable", true],
  ])("of a kernel that cannot be asked is judged by the release %s", (release, there) => {
    expect(askFeatures(silent, release).has("test_run")).toBe(there);
  });

  test("is asked for once", () => {
    let times = 0;
    const counting = { ...backported, hasTestRun: () => ++times > 0 };
    const asked = askFeatures(counting, "6.12.0");
    expect([asked.has("test_run"), asked.has("test_run"), times]).toEqual([true, true, 1]);
  });

  test("is told with the way that is taken: its own, the one without it, or one that shows later", () => {
    const lacking = { ...backported, hasHelper: () => false };
    const ways = askFeatures(lacking, "5.10.0").ways();
    expect(ways.map((way) => way.split(":")[0]!)).toEqual([...featureNames]);
    expect(ways).toContain("test_run: there, the way of Linux 5.10");
    const { since, without } = features.current_task;
    expect(ways).toContain(`current_task: not there (Linux ${since}): ${without}`);
    expect(ways).toContain(
      `recursion_misses: not asked beforehand; how it is asked: ${features.recursion_misses.asked}`,
    );
  });

  test("has a release, a change of the kernel, a way to ask and a way without it", () => {
    for (const name of featureNames) {
      const { since, change, asked, without } = features[name];
      expect(since).toMatch(/^\d\.\d+$/);
      for (const text of [change, asked, without]) expect(text).toMatch(/^[^|\n]{8,}$/);
    }
  });
});

test.each([
  ["5.10.0", "5.10", true],
  ["5.9.16-rc1", "5.10", false],
  ["6.1", "5.10", true],
  ["4.4.302", "4.18", false],
  ["?", "7.0", true],
])("%s is at least %s: %p", (release, since, expected) => {
  expect(isAtLeast(release, since)).toBe(expected);
});
