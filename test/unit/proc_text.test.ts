/** Files of /proc about processes and control groups, as kernels and systems write them. */
import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import {
  parseProcessGroups,
  parseStat,
  parseIgnored,
  parseRealId,
} from "../../src/kernel/proc_text.ts";

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

test("the real user id and the real group id are the first of four", () => {
  const status = "Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t7\t8\t8\t8\n";
  expect(parseRealId(status, "Uid")).toBe(1000);
  expect(parseRealId(status, "Gid")).toBe(7);
  // A name is escaped there, so it cannot put a line of its own in front.
  expect(parseRealId("Name:\tUid:\\n\nUid:\t5\t6\t7\t8\n", "Uid")).toBe(5);
  expect(parseRealId("", "Uid")).toBeNull();
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
      expect(parseStat(stat(name))).toEqual({
        startTicks: 98765n,
        parent: 1,
        exiting: false,
        ofKernel: false,
        state: "S",
      });
    }),
  );
  expect(parseStat(stat(") Z 1 (x) 4 )"))).toEqual({
    startTicks: 98765n,
    parent: 1,
    exiting: false,
    ofKernel: false,
    state: "S",
  });
  expect(parseStat(stat("x", 4228108))?.exiting).toBe(true);
  // As a kworker has it on 6.12.
  expect(parseStat(stat("kworker/0:1-events", 69238880))?.ofKernel).toBe(true);
  expect(parseStat("17 (x) S 1 17")).toBeNull();
});
