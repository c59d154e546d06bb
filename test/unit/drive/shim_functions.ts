/** The functions of the shim, as its header declares them. */
import { readFileSync } from "node:fs";

/** The declarations of shim.h, in its order. */
export function shimFunctions(): string[] {
  const header = readFileSync("src/kernel/shim/shim.h", "utf8");
  const declared = header.matchAll(/^SH_API \w+ \*?(\w+)\(/gm);
  return Array.from(declared, ([, name]) => name!);
}
