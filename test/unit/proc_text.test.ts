/** Files of /proc about processes and control groups, as kernels and systems write them. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  parseHierarchies,
  parseProcessGroups,
  parseStat,
  parseIgnored,
  parseUid,
} from "../../src/kernel/proc_text.ts";

const unified =
  "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";
const hybrid = [
  "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755",
  "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
  "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd",
  "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
].join("\n");

describe("mounts", () => {
  test.each([
    ["version 2 alone", unified, { v2: "/sys/fs/cgroup", v1: false }],
    ["both", hybrid, { v2: "/sys/fs/cgroup/unified", v1: true }],
    ["version 1 alone", hybrid.split("\n").slice(0, 3).join("\n"), { v2: null, v1: true }],
    [
      "a name with a blank",
      unified.replace("/sys/fs/cgroup", "/a\\040b\\134"),
      { v2: "/a b\\", v1: false },
    ],
    [
      "a part of it, in a container",
      unified.replace(" / ", " /docker/1 "),
      { v2: null, v1: false },
    ],
    ["nothing", "", { v2: null, v1: false }],
  ])("of %s", (_, text, mounts) => {
    expect(parseHierarchies(text)).toEqual(mounts);
  });
});

describe("groups of a process", () => {
  test.each([
    ["0::/system.slice/nginx.service\n", { v2: "/system.slice/nginx.service", v1: null }],
    ["0::/\n", { v2: "/", v1: null }],
    [
      "12:cpu,cpuacct:/\n3:name=systemd:/a.service\n2:pids:/b\n0::/\n",
      { v2: "/", v1: "/a.service" },
    ],
    ["5:cpuset:/c\n4:memory:/docker/1\n3:name=systemd:/\n", { v2: null, v1: "/docker/1" }],
    ["5:cpuset:/c\n4:freezer:/d\n", { v2: null, v1: "/c" }],
    ["4:memory:/\n3:name=systemd:/\n", { v2: null, v1: "/" }],
    ["0::/a:b/c:0::/d\n", { v2: "/a:b/c:0::/d", v1: null }],
    ["0::/gone (deleted)\n", { v2: null, v1: null }],
    ["", { v2: null, v1: null }],
  ])("%j", (text, groups) => {
    expect(parseProcessGroups(text)).toEqual(groups);
  });
});

test("the real user id is the first of four", () => {
  expect(parseUid("Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t7\t7\t7\t7\n")).toBe(1000);
  // A name is escaped there, so it cannot put a line of its own in front.
  expect(parseUid("Name:\tUid:\\n\nUid:\t5\t6\t7\t8\n")).toBe(5);
  expect(parseUid("")).toBeNull();
});

test("the signals that a process ignores", () => {
  expect(parseIgnored("SigBlk:\t0000000000000001\nSigIgn:\t0000000000001005\n")).toBe(0x1005n);
  expect(parseIgnored("Name:\tSigIgn:\\t1\nSigIgn:\t8000000000000000\n")).toBe(1n << 63n);
  expect(parseIgnored("")).toBe(0n);
});

test("start and flags are found behind any name", () => {
  const stat = (name: string, flags = 4194560) =>
    `17 (${name}) S 1 17 17 0 -1 ${flags} 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3`;
  fc.assert(
    fc.property(fc.string({ maxLength: 15 }), (name) => {
      expect(parseStat(stat(name))).toEqual({ startTicks: 98765n, exiting: false });
    }),
  );
  expect(parseStat(stat(") Z 1 (x) 4 )"))).toEqual({ startTicks: 98765n, exiting: false });
  expect(parseStat(stat("x", 4228108))?.exiting).toBe(true);
  expect(parseStat("17 (x) S 1 17")).toBeNull();
});
