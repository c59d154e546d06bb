/** Files of the kernel that are read at each poll. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { latin1Of } from "../../src/kernel/text_file.ts";

test("a file is read as a whole, byte by byte, however long it is", () => {
  const dir = mkdtempSync(join(tmpdir(), "text-file-test-"));
  try {
    for (const length of [0, 1, 4095, 4096, 4097, 20_000]) {
      const bytes = Buffer.alloc(length, 0xe9);
      writeFileSync(join(dir, "file"), bytes);
      expect(latin1Of(join(dir, "file"))).toBe(bytes.toString("latin1"));
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
  expect(latin1Of("/proc/self/cgroup")).toBe(readFileSync("/proc/self/cgroup", "latin1"));
});

test("a file that is not there is an error, with its code", () => {
  expect(() => latin1Of("/proc/none/such")).toThrow("ENOENT");
});
