/** The guests that `npm test` boots. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { kernelTests } from "../vm/lab.ts";
import { subset } from "../vm/subset.ts";

const files = subset().flatMap((request) => request.files ?? []);

test("each kernel test runs in one of them at least", () => {
  expect(kernelTests().filter((file) => !files.includes(file))).toEqual([]);
});

test("each file that they name is there", () => {
  expect(files.filter((file) => !existsSync(join(import.meta.dir, "../..", file)))).toEqual([]);
});
