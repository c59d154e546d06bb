/** The shim's checksums are those of the runtime, for every length, whether or not the processor multiplies without carry. */
import { dlopen, ptr } from "bun:ffi";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { buildNative } from "./native.ts";

// A compiler is run.
setDefaultTimeout(300_000);

type Checksum = (from: number, length: number) => number;
let directory: string;
let native: { checksum_of: Checksum; by_tables_alone: Checksum };

beforeAll(() => {
  const built = buildNative("checksum");
  directory = built.directory;
  native = dlopen(built.library, {
    checksum_of: { args: ["ptr", "u32"], returns: "u32" },
    by_tables_alone: { args: ["ptr", "u32"], returns: "u32" },
  }).symbols as unknown as typeof native;
});
afterAll(() => rmSync(directory, { recursive: true }));

test.each(["checksum_of", "by_tables_alone"] as const)("%s is that of the runtime", (name) => {
  const bytes = crypto.getRandomValues(new Uint8Array(2048));
  for (let length = 0; length < 1000; length++)
    for (const at of [0, 1, 8, 13]) {
      const of = bytes.subarray(at + length, at + 2 * length);
      // Without any bytes there is no address.
      const from = length === 0 ? ptr(bytes) : ptr(of);
      expect(native[name](from as unknown as number, length)).toBe(Bun.hash.crc32(of));
    }
});
