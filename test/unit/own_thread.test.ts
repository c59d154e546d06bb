import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { gettid } from "../../src/kernel/libc.ts";
import { ofOwnThread, ownThread } from "../../src/kernel/own_thread.ts";
import { randomBytes } from "../../src/kernel/random.ts";

test("the calling thread's directory is thread-self where the kernel has it", () => {
  expect(ownThread(() => true)).toBe("/proc/thread-self");
});

test("before 3.17 it is found by the thread's id", () => {
  const before = (path: string) => !path.includes("thread-self");
  expect(ownThread(before)).toBe(`/proc/self/task/${gettid()}`);
});

test("where the thread's id means nothing in /proc, the first thread stands for it", () => {
  expect(ownThread(() => false)).toBe("/proc/self");
});

test("a file of the own thread is about that thread", () => {
  const pid = /^Pid:\s*(\d+)$/m.exec(readFileSync(ofOwnThread("status"), "latin1"))?.[1];
  expect(Number(pid)).toBe(gettid());
});

test("random bytes differ, with a device and without", () => {
  for (const device of ["/dev/urandom", "/nowhere/urandom"]) {
    const seen = new Set(Array.from({ length: 20 }, () => randomBytes(6, device).toHex()));
    expect(seen.size).toBe(20);
  }
});
