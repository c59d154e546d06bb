import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ARCHES, HOST } from "../../src/build/arch.ts";
import { run } from "../../src/build/step.ts";
import { CLONE_NEWNET, EEXIST, EINVAL } from "../../src/kernel/constants.ts";
import { bpf, close, gettid, pipe2, setns, unshare } from "../../src/kernel/libc.ts";
import { ownNetnsPath } from "../../src/kernel/namespaces.ts";
import { KernelError, openShim, type BpfObject } from "../../src/kernel/shim.ts";
import { openWaiter } from "../../src/kernel/waiter.ts";

const shim = openShim();
let object: BpfObject;
let image: Uint8Array;
/** As the objects of the tool are: without line numbers, with which every program is loaded at once. */
let withoutLines: Uint8Array;

beforeAll(() => {
  const directory = mkdtempSync(join(tmpdir(), "shim-test-"));
  try {
    const out = join(directory, "shim.bpf.o");
    const source = `${import.meta.dir}/shim.bpf.c`;
    const flags = `-O2 -g -target bpf -fno-stack-protector -I/usr/include/${ARCHES[HOST].triplet}`;
    run(["clang", ...flags.split(" "), "-c", source, "-o", out]);
    image = readFileSync(out);
    run(["llvm-objcopy", "--remove-section=.BTF.ext", "--remove-section=.rel.BTF.ext", out]);
    withoutLines = readFileSync(out);
  } finally {
    rmSync(directory, { recursive: true });
  }
  object = shim.open(image, "shim_test");
  for (const program of REFUSED) shim.autoload(object, program, false);
  shim.mapMaxEntries(object, "entries", 6007);
  shim.load(object);
});

afterAll(() => shim.close(object));

const REFUSED = ["refused", "large_refused"];
const u32 = (value: number): Uint32Array => Uint32Array.of(value);

/** Why a call fails; what it returned if it does not. */
function failure(call: () => unknown): KernelError {
  try {
    throw new Error(`returned ${String(call())}`);
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
}

test("this kernel has bpf(2)", () => {
  expect(shim.kernelBpf()).toBe(0);
});

test("a thread stays in the network namespace in which it was started, until it is told to go", () => {
  const home = openSync(ownNetnsPath(), "r");
  const netnsOf = (tid: number): number => statSync(`/proc/self/task/${tid}/ns/net`).ino;
  unshare(CLONE_NEWNET);
  const own = netnsOf(gettid());
  const stayer = shim.stay()!;
  setns(home, CLONE_NEWNET);
  close(home);
  expect(netnsOf(stayer.tid)).toBe(own);
  expect(netnsOf(gettid())).not.toBe(own);
  stayer[Symbol.dispose]();
  expect(readdirSync("/proc/self/task")).not.toContain(String(stayer.tid));
});

test("a tracepoint is there, or is not", () => {
  expect(shim.hasTracepoint("sched_process_fork")).toBe(true);
  expect(shim.hasTracepoint("sched_process_knife")).toBe(false);
});

test("a sockmap is there, or is not", () => {
  const before = shim.hasSockmap();
  const attr = new Uint8Array(64);
  // BPF_MAP_CREATE of one entry: the type (sockmap), and the sizes of its key, its value and itself.
  new Uint32Array(attr.buffer).set([15, 4, 4, 1]);
  const fd = bpf(0, attr);
  expect(fd).toBeGreaterThan(0);
  expect(shim.hasSockmap()).toBe(true);
  close(fd);
  expect(shim.hasSockmap()).toBe(before);
});

test("a refused program comes with the verifier's words, and the next log without them", () => {
  const bad = shim.open(image, "shim_test");
  shim.autoload(bad, "large_refused", false);
  try {
    const error = failure(() => shim.load(bad));
    expect(error.op).toBe("load");
    expect(error.log).toContain("prog 'refused'");
    expect(error.log).toContain("R7 !read_ok");
    expect(shim.log()).toBe("");
  } finally {
    shim.close(bad);
  }
});

test("large programs are loaded beside the others, and a refused one comes with the verifier's words", () => {
  const opened = shim.open(withoutLines, "shim_test");
  for (const program of REFUSED) shim.autoload(opened, program, false);
  shim.load(opened, true);
  expect(shim.testRun(shim.progFd(opened, "large"), new BigUint64Array(1))).toBe(600);
  shim.close(opened);
  const before = openFiles();
  const bad = shim.open(withoutLines, "shim_test");
  shim.autoload(bad, "refused", false);
  const error = failure(() => shim.load(bad, true));
  expect(error.op).toBe("load");
  expect(error.log).toContain("prog 'large_refused'");
  expect(error.log).toContain("R7 !read_ok");
  expect(shim.log()).toBe("");
  shim.close(bad);
  expect(openFiles()).toBe(before);
});

test("an image that is no ELF file, and names that are not there, are errors with an errno", () => {
  expect(failure(() => shim.open(new Uint8Array(100), "nothing")).errno).toBeGreaterThan(0);
  expect(failure(() => shim.progFd(object, "nothing")).errno).toBe(2);
  expect(failure(() => shim.progFd(object, "refused")).errno).toBe(2);
  expect(failure(() => shim.mapFd(object, "nothing")).errno).toBe(2);
  expect(failure(() => shim.rawTracepoint(shim.progFd(object, "emit"), "nothing")).errno).toBe(2);
});

test("entries are written, read, stepped through, deleted; a missing key is an answer", () => {
  const fd = shim.mapFd(object, "entries");
  const value = new Uint32Array(3);
  expect(shim.mapLookup(fd, u32(5), value)).toBe(false);
  shim.mapUpdate(fd, u32(5), Uint32Array.of(1, 2, 3));
  expect(shim.mapLookup(fd, u32(5), value)).toBe(true);
  expect([...value]).toEqual([1, 2, 3]);
  const next = u32(0);
  expect(shim.mapNextKey(fd, null, next)).toBe(true);
  expect([...next]).toEqual([5]);
  expect(shim.mapNextKey(fd, u32(5), next)).toBe(false);
  const BPF_NOEXIST = 1;
  expect(failure(() => shim.mapUpdate(fd, u32(5), value, BPF_NOEXIST)).errno).toBe(EEXIST);
  expect(shim.mapDelete(fd, u32(5))).toBe(true);
  expect(shim.mapDelete(fd, u32(5))).toBe(false);
});

test("a range of an array map holds its values in their order; what is beyond its end is an error", () => {
  const fd = shim.mapFd(object, "numbered");
  for (let n = 0; n < 100; n++) shim.mapUpdate(fd, u32(n), Uint32Array.of(n, n + 1, n + 2));
  for (const [first, count] of [
    [0, 64],
    [41, 7],
    [99, 1],
  ] as const) {
    const words = new Uint32Array(3 * count);
    shim.mapRange(fd, first, 12, new Uint8Array(words.buffer));
    const expected = Array.from({ length: count }, (_, n) => first + n);
    expect([...words]).toEqual(expected.flatMap((n) => [n, n + 1, n + 2]));
  }
  expect(failure(() => shim.mapRange(fd, 98, 12, new Uint8Array(3 * 12))).errno).toBe(2);
});

/** Every entry of a dump by key, whose value is `words` 32-bit numbers; fails if a key comes twice. */
function dumped(map: string, words: number, cap: number): Map<number, number[]> {
  const dst = new Uint32Array((1 + words) * cap);
  const count = shim.mapDump(shim.mapFd(object, map), 4, 4 * words, new Uint8Array(dst.buffer));
  const found = new Map<number, number[]>();
  for (let n = 0; n < count; n++) {
    const [key, ...value] = dst.subarray(n * (1 + words), (n + 1) * (1 + words));
    expect(found.has(key!)).toBe(false);
    found.set(key!, value);
  }
  return found;
}

test("a dump holds each of thousands of entries once, with its value", () => {
  const fd = shim.mapFd(object, "entries");
  expect(dumped("entries", 3, 100).size).toBe(0);
  const expected = new Map<number, number[]>();
  for (let n = 0; n < 5003; n++) expected.set(n * 7919, [n, n + 1, n + 2]);
  for (const [key, value] of expected) shim.mapUpdate(fd, u32(key), Uint32Array.from(value));
  expect(dumped("entries", 3, 6007)).toEqual(expected);
});

test("a dump into a small buffer fills it and stops", () => {
  expect(dumped("entries", 3, 1500).size).toBe(1500);
  expect(dumped("entries", 3, 1).size).toBe(1);
});

test("a map without batch operations is dumped entry by entry", () => {
  const fd = shim.mapFd(object, "unbatched");
  const loopback = 1; // the value has to be a device
  for (let n = 0; n < 101; n++) shim.mapUpdate(fd, u32(n), u32(loopback));
  expect(dumped("unbatched", 1, 256).size).toBe(101);
  expect(dumped("unbatched", 1, 7).size).toBe(7);
});

/** Runs the emitting program; true when the ring took the record. */
const emit = (size: number, fill: number, id: number): boolean =>
  shim.testRun(
    shim.progFd(object, "emit"),
    BigUint64Array.of(BigInt(size), BigInt(fill), BigInt(id)),
  ) === 0;

interface Drained {
  id: number;
  size: number;
  bytes: Uint8Array;
}

function parse(buffer: Uint8Array, bytes: number): Drained[] {
  const view = new DataView(buffer.buffer, buffer.byteOffset, bytes);
  const records: Drained[] = [];
  for (let at = 0; at < bytes;) {
    const size = view.getUint32(at, true);
    const record = buffer.slice(at + 8, at + 8 + size);
    records.push({ id: Number(view.getBigUint64(at + 8, true)), size, bytes: record });
    at += 8 + Math.ceil(size / 8) * 8;
  }
  return records;
}

test("how long a program ran and how often is counted while somebody asks for it", () => {
  const fd = shim.progFd(object, "emit");
  const measuring = shim.timePrograms();
  expect(measuring).not.toBeNull();
  const before = shim.progTime(fd)!;
  for (let n = 0; n < 100; n++) emit(0, 0, 0);
  const { ns, runs } = shim.progTime(fd)!;
  expect(runs - before.runs).toBe(100n);
  expect(ns).toBeGreaterThan(before.ns);
  close(measuring!);
});

test("records of every size arrive whole, also where the ring wraps and the buffer is small", () => {
  const rings = shim.ringsOpen(shim.mapFd(object, "events"), 1);
  try {
    const buffer = new Uint8Array(700); // some records at a time
    const got: Drained[] = [];
    const sizeOf = (id: number): number => 8 + (id % 248);
    const total = 2003;
    const drain = (): number => {
      const { bytes, lost } = shim.ringsDrain(rings, buffer);
      expect(lost).toBe(0);
      got.push(...parse(buffer, bytes));
      return bytes;
    };
    for (let id = 0; id < total; id++) {
      expect(emit(sizeOf(id), id & 255, id)).toBe(true);
      if (id % 5 === 4) while (drain() > 0);
    }
    while (drain() > 0);
    got.sort((a, b) => a.id - b.id);
    expect(got.map((record) => record.id)).toEqual(Array.from({ length: total }, (_, id) => id));
    for (const { id, size, bytes } of got) {
      // The kernel pads to 8n + 4.
      expect(size).toBe(Math.ceil((sizeOf(id) + 4) / 8) * 8 - 4);
      const body = bytes.subarray(8, sizeOf(id));
      expect(body.every((byte) => byte === (id & 255))).toBe(true);
    }
  } finally {
    shim.ringsClose(rings);
  }
});

test("what a full ring refuses is seen by the program and counted by the drain", () => {
  const rings = shim.ringsOpen(shim.mapFd(object, "events"), 1);
  try {
    const taken: number[] = [];
    for (let id = 0; id < 307; id++) if (emit(200, 1, id)) taken.push(id);
    const refused = 307 - taken.length;
    expect(refused).toBeGreaterThan(0);
    const buffer = new Uint8Array(1 << 20);
    const first = shim.ringsDrain(rings, buffer);
    expect(
      parse(buffer, first.bytes)
        .map((r) => r.id)
        .toSorted((a, b) => a - b),
    ).toEqual(taken);
    // The kernel writes the count of lost records in front of the next one it takes, on each CPU.
    expect(first.lost).toBe(0);
    let lost = 0;
    // This thread may stay on another CPU for a while.
    const until = performance.now() + 10_000;
    for (let id = 0; lost < refused && performance.now() < until; id++) {
      emit(8, 1, id);
      lost += shim.ringsDrain(rings, buffer).lost;
    }
    expect(lost).toBe(refused);
  } finally {
    shim.ringsClose(rings);
  }
});

test("a buffer that cannot hold one record is an error, not an endless loop", () => {
  const rings = shim.ringsOpen(shim.mapFd(object, "events"), 1);
  try {
    emit(100, 1, 1);
    const E2BIG = 7;
    expect(failure(() => shim.ringsDrain(rings, new Uint8Array(64))).errno).toBe(E2BIG);
    // The prefix, and 100 bytes at a multiple of 8.
    expect(shim.ringsDrain(rings, new Uint8Array(256)).bytes).toBe(8 + 104);
  } finally {
    shim.ringsClose(rings);
  }
});

const waitingThreads = (): string[] =>
  readdirSync("/proc/self/task")
    .map((tid) => readFileSync(`/proc/self/task/${tid}/comm`, "latin1").trim())
    .filter((name) => name === "RingWait");
const openFiles = (): number => readdirSync("/proc/self/fd").length;

describe("a wait for the rings", () => {
  const FOREVER_MS = 2 ** 31 - 1;

  test("without an end is over when there is a record, and when the reader of the output has left", async () => {
    const rings = shim.ringsOpen(shim.mapFd(object, "events"), 2);
    const [reads, writes] = pipe2(0) as [number, number];
    const waiter = openWaiter(shim, rings);
    try {
      emit(100, 1, 1);
      await waiter.wait(0, FOREVER_MS, writes);
      shim.ringsDrain(rings, new Uint8Array(256));
      const waiting = waiter.wait(0, FOREVER_MS, writes);
      emit(100, 1, 1);
      await waiting;
      shim.ringsDrain(rings, new Uint8Array(256));
      const left = waiter.wait(0, FOREVER_MS, writes);
      close(reads);
      await left;
      // Nobody turns in circles for that.
      const begun = performance.now();
      await waiter.wait(50, FOREVER_MS, writes);
      expect(performance.now() - begun).toBeGreaterThan(49);
    } finally {
      close(writes);
      waiter[Symbol.dispose]();
      shim.ringsClose(rings);
    }
  });

  test("leaves the event loop free, and is over when the waiter is disposed of, whose thread and socket are gone then", async () => {
    const rings = shim.ringsOpen(shim.mapFd(object, "events"), 2);
    const files = openFiles();
    const waiter = openWaiter(shim, rings);
    const waiting = waiter.wait(0, FOREVER_MS);
    for (let turns = 0; turns < 3; turns++) await Bun.sleep(1);
    expect([waitingThreads().length, openFiles()]).toEqual([1, files + 3]);
    waiter[Symbol.dispose]();
    await waiting;
    expect(waitingThreads()).toBeEmpty();
    // Bun closes its own descriptor a little later.
    while (openFiles() !== files) await Bun.sleep(1);
    // Nobody looks at the rings any more.
    shim.ringsClose(rings);
    await waiter.wait(0, FOREVER_MS);
  });

  test("ends at its time where nothing happens, also while others refresh and drain the rings", async () => {
    const rings = shim.ringsOpen(shim.mapFd(object, "events"), 2);
    const waiter = openWaiter(shim, rings);
    const begun = performance.now();
    let over = false;
    const waiting = waiter.wait(10, 200).then(() => (over = true));
    while (!over) {
      shim.ringsRefresh(rings);
      shim.ringsDrain(rings, new Uint8Array(256));
      await Bun.sleep(0);
    }
    await waiting;
    expect(performance.now() - begun).toBeGreaterThan(195);
    waiter[Symbol.dispose]();
    shim.ringsClose(rings);
  });
});

test("with every CPU's ring in place a refresh opens none; an odd size is refused", () => {
  const rings = shim.ringsOpen(shim.mapFd(object, "events"), 2);
  expect(shim.ringsRefresh(rings)).toBe(0);
  shim.ringsClose(rings);
  expect(failure(() => shim.ringsOpen(shim.mapFd(object, "events"), 3)).errno).toBe(EINVAL);
});
