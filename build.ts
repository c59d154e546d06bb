/**
 * Builds everything into dist/; run it again and it does what has changed.
 *
 *   bun build.ts           the executable for this machine
 *   bun build.ts --arm64   the one for arm64 as well
 *   bun build.ts --dev     only what running from source needs
 */
import { mkdirSync } from "node:fs";
import { basename } from "node:path";
import { HOST, type Arch } from "./src/build/arch.ts";
import { copyStep, embedded, executableStep } from "./src/build/executable.ts";
import { layoutStep, objectFile, OBJECTS, objectStep, shimStep } from "./src/build/native.ts";
import { installPackages } from "./src/build/packages.ts";
import { build, BuildError } from "./src/build/step.ts";

const FLAGS = ["--arm64", "--dev"];

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}

async function main(args: string[]): Promise<void> {
  const unknown = args.find((arg) => !FLAGS.includes(arg));
  if (unknown !== undefined)
    throw new BuildError(`${unknown} is not a flag of build.ts: use ${FLAGS.join(" or ")}`);
  process.chdir(import.meta.dir);
  const arches = [
    ...new Set<Arch>([HOST, ...(args.includes("--arm64") ? ["arm64" as const] : [])]),
  ];
  installPackages(arches);
  mkdirSync("dist/embed", { recursive: true });

  for (const arch of arches) for (const name of OBJECTS) await build(objectStep(arch, name));
  await build(layoutStep(arches));
  for (const arch of arches) await build(shimStep(arch));
  for (const file of embedded(HOST)) await build(copyStep(file, `dist/embed/${basename(file)}`));
  if (args.includes("--dev")) return;

  await build(copyStep(objectFile(HOST, "trace"), "dist/tracer.bpf.o"));
  for (const arch of arches) await build(executableStep(arch));
}
