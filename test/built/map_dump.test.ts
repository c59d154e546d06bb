/** Before Linux 5.6 a map is read entry by entry, while programs delete from it: a kernel answers a key that is gone with the first. */
import { dlopen, ptr } from "bun:ffi";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { buildNative } from "./native.ts";

// A compiler is run.
setDefaultTimeout(300_000);

const ENTRIES = 1000;
const CAP = 4 * ENTRIES;

let directory: string;
let native: {
  dump: (count: number, deleted: number, dst: number, cap: number) => number;
  calls_made: () => number;
};

beforeAll(() => {
  const built = buildNative("map_dump");
  directory = built.directory;
  native = dlopen(built.library, {
    dump: { args: ["u32", "u32", "ptr", "u32"], returns: "i32" },
    calls_made: { args: [], returns: "u32" },
  }).symbols as unknown as typeof native;
});
afterAll(() => rmSync(directory, { recursive: true }));

test.each([
  ["nothing is deleted", 0],
  ["every other entry is deleted when the walk passes it", 2],
  ["ten in a row are", 20],
])("each entry that stays is read once, in one walk, where %s", (_, deleted) => {
  const dst = new Uint32Array(2 * CAP);
  const count = native.dump(ENTRIES, deleted, ptr(dst) as unknown as number, CAP);
  const stays = (key: number) => deleted === 0 || key % deleted >= deleted / 2;
  const wanted = Array.from({ length: ENTRIES }, (_entry, key) => key).filter(stays);
  const read = Array.from({ length: count }, (_entry, n) => [dst[2 * n]!, dst[2 * n + 1]!]);
  expect(read).toEqual(wanted.map((key) => [key, 10 * key]));
  expect(native.calls_made()).toBeLessThan(3 * ENTRIES);
});

test("an empty map has no entries, and a full room says that there may be more", () => {
  const dst = new Uint32Array(2 * CAP);
  expect(native.dump(0, 0, ptr(dst) as unknown as number, CAP)).toBe(0);
  expect(native.dump(ENTRIES, 0, ptr(dst) as unknown as number, 10)).toBe(10);
});
