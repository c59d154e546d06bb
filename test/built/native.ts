/** Kernel-side code that is built for the machine that runs the tests, with the kernel's helpers replaced. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ARCHES, HOST } from "../../src/build/arch.ts";

/** Builds a source of this folder as a shared library, in a new directory. */
export function buildNative(name: string): { directory: string; library: string } {
  const directory = mkdtempSync(join(tmpdir(), `${name}-test-`));
  const library = join(directory, `${name}.so`);
  const { triplet, bpfMacro } = ARCHES[HOST];
  const flags = `-O1 -shared -fPIC -Wall -Wextra -Werror -D${bpfMacro} -I/usr/include/${triplet} -I. -Ibpf`;
  const source = `${import.meta.dir}/${name}.c`;
  const command = ["clang", ...flags.split(" "), source, "-o", library];
  const cwd = `${import.meta.dir}/../..`;
  if (!Bun.spawnSync(command, { cwd, stderr: "inherit" }).success)
    throw new Error('clang is needed: run "bun run build", which installs it');
  return { directory, library };
}
