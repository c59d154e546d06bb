/** The shim has one list of functions in C and one in TypeScript. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { shimFunctions } from "./drive/shim_functions.ts";

test("the functions that TypeScript calls are those of shim.h", () => {
  const called = readFileSync("src/kernel/shim.ts", "utf8").matchAll(/^ {2}(sh_\w+): \{/gm);
  expect(Array.from(called, ([, name]) => name!)).toEqual(shimFunctions());
});
