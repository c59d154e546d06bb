/** Where the process of an event was: the kernel's answer first, /proc's only where it cannot be another process's. */
import { expect, test } from "bun:test";
import { eventSize, EventView } from "../../src/record/layout.gen.ts";
import { setCgroupIdAt } from "../../src/trace/event.ts";
import {
  Groups,
  LATER,
  type GroupSource,
  type Owned,
  type Placed,
} from "../../src/trace/process/groups.ts";

const TICK = 1n << 24n;
/** Long after boot: the programs keep only 32 bits of it. */
const NOW_NS = (3n << 56n) + 1000n * TICK;

const event = (cgroup_id: bigint, ticksAgo = 0n): Owned => ({
  cgroup_id,
  cgroup_id_number: Number(cgroup_id),
  owned_at: Number(BigInt.asUintN(32, NOW_NS / TICK - ticksAgo)),
});

interface World {
  mixed?: boolean;
  paths?: Record<string, string | null | typeof LATER>;
  processes?: Record<number, Placed>;
}

function groupsOf({ mixed = false, paths = {}, processes = {} }: World) {
  const asked: (string | number)[] = [];
  const source: GroupSource = {
    mixed,
    pathOf(id) {
      asked.push(`id ${id}`);
      return paths[String(id)];
    },
    process(pid) {
      asked.push(pid);
      return processes[pid] ?? null;
    },
    nowNs: () => NOW_NS,
  };
  return { groups: new Groups(source), asked, paths };
}

const docker = "ab".repeat(32);
const process = (startedNs: bigint, v2: string | null, v1: string | null = null): Placed => ({
  startedNs,
  exiting: false,
  v2,
  v1,
});
const nothing = { cgroup: null, container: null };

test("the id of the kernel is asked for once, whoever has it", () => {
  const { groups, asked } = groupsOf({ paths: { 7: `/docker/${docker}`, 8: null } });
  const group = { cgroup: `/docker/${docker}`, container: docker };
  expect(groups.of(1, event(7n))).toEqual(group);
  groups.renew();
  expect(groups.of(2, event(7n))).toEqual(group);
  // The group is gone: where the process is by now is not where it was.
  expect(groups.of(2, event(8n))).toEqual(nothing);
  expect(groups.of(2, event(8n))).toEqual(nothing);
  expect(asked).toEqual(["id 7", "id 8"]);
});

test("an id tells once its group is known, and where /proc need not be asked", () => {
  const { groups } = groupsOf({ mixed: true, paths: { 1: "/", 7: "/a", 8: null } });
  expect([0, 1, 7, 8, 9].map((id) => groups.tells(id))).toEqual(Array(5).fill(false));
  for (const id of [0n, 1n, 7n, 8n, 9n]) groups.of(5, event(id));
  expect([0, 1, 7, 7, 8, 9].map((id) => groups.tells(id))).toEqual([
    ...[false, false],
    ...[true, true, true],
    false,
  ]);
});

test("what /proc tells of a process has an id of its own, by which a record tells the same for ever", () => {
  const processes: Record<number, Placed> = {
    5: process(0n, "/", "/v1"),
    6: process(0n, "/", "/other"),
    7: process(NOW_NS, "/", "/v1"),
  };
  const { groups } = groupsOf({ mixed: true, paths: { 1: "/", 8: "/a" }, processes });
  const at = (ticksAgo = 0n) => event(1n, ticksAgo).owned_at;
  // Nobody has asked for the ids yet.
  expect(groups.numberedId(5, at(), 1)).toBeNull();
  for (const id of [1n, 8n]) groups.of(5, event(id));
  expect(groups.numberedId(5, at(), 8)).toBeNull();
  const ids = [5, 6, 7].map((pid) => groups.numberedId(pid, at(10n), 1)!);
  const told = () => ids.map((id) => groups.of(9, event(BigInt(id))).cgroup);
  // The last one began later.
  expect(told()).toEqual(["/v1", "/other", null]);
  processes[5] = process(0n, "/", "/moved");
  groups.renew();
  expect(groups.numberedId(5, at(10n), 1)).toBe(ids[0]!);
  const moved = groups.numberedId(5, at(3n), 1)!;
  expect(groups.of(5, event(BigInt(moved))).cgroup).toBe("/moved");
  expect(groups.numberedId(5, at(3n), 0)).toBe(moved);
  expect(told()).toEqual(["/v1", "/other", null]);
  expect([...ids, moved].map((id) => groups.tells(id))).toEqual(Array(4).fill(true));
  const view = new DataView(new ArrayBuffer(eventSize));
  setCgroupIdAt(view, 0, moved);
  expect(new EventView(view, 0).owner.cgroup_id_number).toBe(moved);
});

test("what cannot be found out just now is asked for again", () => {
  const { groups, asked, paths } = groupsOf({ paths: { 7: LATER } });
  expect(groups.of(1, event(7n))).toEqual(nothing);
  expect(groups.tells(7)).toBe(false);
  paths["7"] = "/a";
  expect(groups.of(1, event(7n)).cgroup).toBe("/a");
  expect(asked).toEqual(["id 7", "id 7"]);
});

test("without a process there is no group", () => {
  const { groups, asked } = groupsOf({ paths: { 7: "/a" } });
  expect(groups.of(null, event(7n))).toEqual(nothing);
  expect(asked).toEqual([]);
});

test("an older kernel, and a host that does not tell paths: /proc, once a poll", () => {
  const { groups, asked } = groupsOf({ processes: { 5: process(0n, "/a", "/b") } });
  for (const id of [0n, 9n]) {
    expect(groups.of(5, event(id, 1n)).cgroup).toBe("/a");
    expect(groups.of(5, event(id, 2n)).cgroup).toBe("/a");
    expect(groups.of(6, event(id, 1n))).toEqual(nothing);
  }
  expect(asked).toEqual([5, 6, "id 9"]);
  groups.renew();
  groups.of(5, event(9n, 3n));
  expect(asked).toEqual([5, 6, "id 9", 5]);
});

test("hierarchies of version 1 have let go of a process that is on its way out", () => {
  const exiting = (v2: string | null) => ({ ...process(0n, v2, "/"), exiting: true });
  const processes = { 5: exiting("/"), 6: exiting(null), 7: exiting("/a") };
  const { groups } = groupsOf({ mixed: true, processes });
  expect([5, 6, 7].map((pid) => groups.of(pid, event(0n)).cgroup)).toEqual([null, null, "/a"]);
});

test("the close of a connection whose process has ended has what its connect had", () => {
  const processes: Record<number, Placed> = { 5: process(0n, "/", "/v1") };
  const { groups } = groupsOf({ mixed: true, paths: { 1: "/" }, processes });
  const [connect, other] = [event(1n, 10n), event(1n, 3n)];
  expect(groups.of(5, connect).cgroup).toBe("/v1");
  delete processes[5];
  groups.renew();
  expect(groups.of(5, { ...connect }).cgroup).toBe("/v1");
  expect(groups.of(5, other)).toEqual(nothing);
  expect(groups.of(6, connect)).toEqual(nothing);
});

test("an end that follows an answer for the shim has what /proc told then, also where the process has ended", () => {
  const processes: Record<number, Placed> = { 5: process(NOW_NS - 50n * TICK, "/", "/v1") };
  const { groups } = groupsOf({ mixed: true, paths: { 1: "/" }, processes });
  groups.of(6, event(1n));
  expect(groups.numberedId(5, event(1n, 10n).owned_at, 1)).not.toBeNull();
  delete processes[5];
  groups.renew();
  expect(groups.of(5, event(1n, 3n)).cgroup).toBe("/v1");
  expect(groups.of(5, event(1n, 50n)).cgroup).toBe("/v1");
  // Another process had the number before, and yet another has it since.
  expect(groups.of(5, event(1n, 51n))).toEqual(nothing);
  expect(groups.of(5, event(1n, -1n))).toEqual(nothing);
});

test("a close on the way out of a process whose connect the shim took has the group of the connect", () => {
  const processes: Record<number, Placed> = { 5: process(NOW_NS - 50n * TICK, "/", "/v1") };
  const { groups } = groupsOf({ mixed: true, paths: { 1: "/" }, processes });
  groups.of(6, event(1n));
  const connect = event(1n, 3n);
  const id = groups.numberedId(5, event(1n, 10n).owned_at, 1);
  processes[5] = { ...processes[5]!, v1: "/", exiting: true };
  groups.renew();
  expect(groups.of(5, connect).cgroup).toBe("/v1");
  expect(groups.numberedId(5, event(1n, 4n).owned_at, 1)).toBe(id);
  // A group that has let go says nothing of other records.
  expect(groups.numberedId(5, event(1n, -1n).owned_at, 1)).not.toBe(id);
  expect(new Uint8Array(groups.table.view.buffer).every((byte) => byte === 0)).toBe(true);
  expect(groups.of(5, event(1n, 5n)).cgroup).toBe("/v1");
});

test("beside version 1, the root of version 2 says nothing", () => {
  const processes = { 5: process(0n, "/", "/v1") };
  const both = groupsOf({ mixed: true, paths: { 1: "/", 7: "/v2" }, processes }).groups;
  expect(both.of(5, event(1n)).cgroup).toBe("/v1");
  expect(both.of(6, event(1n)).cgroup).toBeNull();
  expect(both.of(5, event(7n)).cgroup).toBe("/v2");
  const alone = groupsOf({ paths: { 1: "/" }, processes }).groups;
  expect(alone.of(6, event(1n)).cgroup).toBe("/");
});

test("a process that has begun since has only the number of the one that is meant", () => {
  const started = NOW_NS - 50n * TICK;
  const { groups } = groupsOf({ processes: { 5: process(started, "/a") } });
  expect(groups.of(5, event(0n, 60n))).toEqual(nothing);
  expect(groups.of(5, event(0n, 51n))).toEqual(nothing);
  expect(groups.of(5, event(0n, 50n)).cgroup).toBe("/a");
  expect(groups.of(5, event(0n, 0n)).cgroup).toBe("/a");
});
