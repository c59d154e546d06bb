/** The limit of memory that control groups set, and what is asked for within it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryLimitOf } from "../../src/kernel/memory_limit.ts";
import { roomIn } from "../../src/trace/opening/room.ts";

const MIB = 1 << 20;

const top = mkdtempSync(join(tmpdir(), "memory-limit-test-"));
beforeAll(() => {
  const write = (path: string, text: string) => {
    mkdirSync(join(top, path, ".."), { recursive: true });
    writeFileSync(join(top, path), text);
  };
  write("v2/a/memory.max", `${200 * MIB}\n`);
  write("v2/a/b/memory.max", "max\n");
  write("v2/a/c/memory.max", `${100 * MIB}\n`);
  write("v1/memory.limit_in_bytes", "9223372036854771712\n");
  write("v1/x/memory.limit_in_bytes", `${80 * MIB}\n`);
});
afterAll(() => rmSync(top, { recursive: true }));

describe("the limit", () => {
  const mount = (name: string, type: string, root = "/") => ({
    at: Buffer.from(join(top, name)),
    root,
    type,
  });
  const v2 = [mount("v2", "cgroup2")];

  test.each<[string, string, Parameters<typeof memoryLimitOf>[1], number | null]>([
    ["the group's own", "0::/a/c\n", v2, 100],
    ["that of a group above, where its own is max", "0::/a/b\n", v2, 200],
    ["none at the top", "0::/\n", v2, null],
    ["none where nothing is mounted", "0::/a/c\n", [], null],
    ["none of a group outside of the mount", "0::/../a/c\n", v2, null],
    [
      "version 1, by its controller",
      "4:memory:/x\n3:cpuset:/\n0::/\n",
      [mount("v1", "cgroup")],
      80,
    ],
    [
      "in a container, whose mount begins at its group",
      "4:memory:/docker/1/x\n",
      [mount("v1", "cgroup", "/docker/1")],
      80,
    ],
    ["no limit of version 1", "4:memory:/\n", [mount("v1", "cgroup")], null],
    ["a text of another kind", "nonsense\n", v2, null],
  ])("%s", (_, groups, mounts, mib) => {
    expect(memoryLimitOf(groups, mounts)).toBe(mib === null ? null : mib * MIB);
  });
});

describe("what is asked for", () => {
  test("is the usual where nothing limits it, or enough is there", () => {
    const usual = { connections: 65_536, ringBytes: 4 * MIB, note: null };
    expect(roomIn(null, 2, null)).toEqual(usual);
    expect(roomIn(512 * MIB, 8, null)).toEqual(usual);
  });

  test("is less in a small group, never below the least, and what is less is said", () => {
    expect(roomIn(80 * MIB, 2, null)).toMatchObject({ connections: 8192, ringBytes: 4 * MIB });
    const small = roomIn(64 * MIB, 2, null);
    expect(small).toMatchObject({ connections: 8192, ringBytes: 2 * MIB });
    expect(small.note).toBe(
      "at most 8,192 connections are followed, rings have 2048 KiB per processor: the memory cgroup has only 64 MiB (raise its limit, MemoryMax= of a systemd unit, or give --max-connections)",
    );
    expect(roomIn(16 * MIB, 64, null)).toMatchObject({ connections: 1024, ringBytes: 1 << 16 });
  });

  test("never takes more than the limit for maps and rings, wherever more than the least is taken", () => {
    for (let limit = 64; limit < 4096; limit += 16)
      for (const processors of [1, 2, 8, 16, 64, 300]) {
        const { connections, ringBytes } = roomIn(limit * MIB, processors, null);
        if (ringBytes > 1 << 16)
          expect(connections * 1040 + ringBytes * processors).toBeLessThan((limit - 40) * MIB);
      }
  });

  test("is as many connections as the user asked for", () => {
    expect(roomIn(80 * MIB, 2, 500_000)).toMatchObject({ connections: 500_000, note: null });
    expect(roomIn(null, 2, 5).connections).toBe(5);
  });
});
