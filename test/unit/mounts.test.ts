/** The text of mountinfo, as kernels write it. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { hierarchiesOf } from "../../src/kernel/cgroups.ts";
import { mounts, parseMounts } from "../../src/kernel/mounts.ts";

test("directory, root and type of each mount, whatever optional fields it has", () => {
  const text = [
    "22 1 0:21 / /proc rw,nosuid - proc proc rw",
    "24 23 0:23 /a /sys/fs/cgroup/memory rw shared:10 master:1 - cgroup cgroup rw,memory",
    "26 1 0:25 / /mnt/with\\040space\\011tab rw - ext4 /dev/sda1 rw",
    "27 1 0:4 net:[4026532201] /run/netns/blue rw shared:1 - nsfs nsfs rw",
    "28 1 0:26 / /mnt/\u00e4 rw - ext4 /dev/sda1 rw",
    "cut 1 0:26",
    "",
  ].join("\n");
  expect(parseMounts(text)).toEqual([
    { at: Buffer.from("/proc"), root: "/", type: "proc" },
    { at: Buffer.from("/sys/fs/cgroup/memory"), root: "/a", type: "cgroup" },
    { at: Buffer.from("/mnt/with space\ttab"), root: "/", type: "ext4" },
    { at: Buffer.from("/run/netns/blue"), root: "net:[4026532201]", type: "nsfs" },
    { at: Buffer.from([...Buffer.from("/mnt/"), 0xe4]), root: "/", type: "ext4" },
  ]);
});

test("this host has as many as /proc/mounts has, of the same types", () => {
  const types = [...readFileSync("/proc/mounts", "utf8").matchAll(/^\S+ \S+ (\S+) /gm)];
  expect(types.length).toBeGreaterThan(0);
  expect(mounts().map(({ type }) => type)).toEqual(types.map(([, type]) => type!));
});

const unified =
  "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";
const hybrid = [
  "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755",
  "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
  "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd",
  "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
].join("\n");

describe("hierarchies of control groups", () => {
  test.each([
    ["version 2 alone", unified, { v2: Buffer.from("/sys/fs/cgroup"), v1: false }],
    ["both", hybrid, { v2: Buffer.from("/sys/fs/cgroup/unified"), v1: true }],
    ["version 1 alone", hybrid.split("\n").slice(0, 3).join("\n"), { v2: null, v1: true }],
    [
      "a name with a blank",
      unified.replace("/sys/fs/cgroup", "/a\\040b\\134"),
      { v2: Buffer.from("/a b\\"), v1: false },
    ],
    [
      "a part of it, in a container",
      unified.replace(" / ", " /docker/1 "),
      { v2: null, v1: false },
    ],
    ["nothing", "", { v2: null, v1: false }],
  ])("of %s", (_, text, mounts) => {
    expect(hierarchiesOf(parseMounts(text))).toEqual(mounts);
  });
});
