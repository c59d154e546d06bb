/** Placeholders of calls: of a helper where the kernel has it, else a constant; of a function of the kernel. Nothing else moves. */
import { expect, test } from "bun:test";
import { patchHelpers, patchLoads } from "../../src/kernel/elf.ts";
import { OptionalHelper, Placeholder } from "../../src/record/layout.gen.ts";

const { OFFSET_MAGIC, HELPER_MAGIC, CAST_MAGIC, TYPE_MAGIC } = Placeholder;
const HELPER = OptionalHelper.HELPER_GET_CURRENT_CGROUP_ID;
const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const exit = [0x95, 0];
const image = () => words(...exit, 0x18, HELPER, 0, HELPER_MAGIC, 0x06bf, 0, ...exit);

test("a kernel with the helper calls it", () => {
  const patched = image();
  patchHelpers(patched, new Set([HELPER]));
  // call HELPER; goto +0
  expect(patched).toEqual(words(...exit, 0x85, HELPER, 0x05, 0, 0x06bf, 0, ...exit));
});

test("a kernel without it sets r0 to 0", () => {
  const patched = image();
  patchHelpers(patched, new Set([HELPER + 1]));
  // r0 = 0 ll
  expect(patched).toEqual(words(...exit, 0x18, 0, 0, 0, 0x06bf, 0, ...exit));
});

test("other constants stay", () => {
  const other = words(0x18, HELPER, 0, OFFSET_MAGIC, 0x18, HELPER, 0, 0);
  const patched = other.slice();
  patchHelpers(patched, new Set([HELPER]));
  expect(patched).toEqual(other);
});

test("the cast is called by its id, with the id of the type", () => {
  // r2 = TYPE_MAGIC; call CAST_MAGIC; r3 = CAST_MAGIC
  const patched = words(...exit, 0x02b7, TYPE_MAGIC, 0x85, CAST_MAGIC, 0x03b7, CAST_MAGIC, ...exit);
  patchLoads(patched, { cast: 65500, words: 162, firstSubflow: 0 });
  expect(patched).toEqual(words(...exit, 0x02b7, 162, 0x2085, 65500, 0x03b7, CAST_MAGIC, ...exit));
});
