/**
 * Builds everything into dist/; run it again and it does what has changed.
 *
 *   bun build.ts           the executable for this machine
 *   bun build.ts --arm64   the one for arm64 as well
 *   bun build.ts --all     every machine and libc
 *   bun build.ts --release all of them, packed and with checksums, in dist/release
 *   bun build.ts --dev     only what running from source needs
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { executableOf, HOST, TARGETS, targets, type Arch, type Target } from "./src/build/arch.ts";
import { copyStep, embedded, executableStep } from "./src/build/executable.ts";
import { layoutStep, objectFile, OBJECTS, objectStep, shimStep } from "./src/build/native.ts";
import { installPackages } from "./src/build/packages.ts";
import { packedNames, packStep, releaseName, withSizes, writeSums } from "./src/build/release.ts";
import { build, BuildError } from "./src/build/step.ts";

const FLAGS = ["--arm64", "--all", "--release", "--dev"];

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
    throw new BuildError(`${unknown} is not a flag of build.ts: use ${FLAGS.join(", ")}`);
  process.chdir(import.meta.dir);
  const wanted = wantedTargets(args);
  const arches = [...new Set<Arch>(wanted.map((target) => TARGETS[target].arch))];
  installPackages(arches);
  mkdirSync("dist/embed", { recursive: true });

  for (const arch of arches) for (const name of OBJECTS) await build(objectStep(arch, name));
  await build(layoutStep(arches));
  for (const arch of arches) await build(shimStep(arch));
  for (const file of embedded(HOST)) await build(copyStep(file, `dist/embed/${basename(file)}`));
  if (args.includes("--dev")) return;

  await build(copyStep(objectFile(HOST, "trace"), "dist/tracer.bpf.o"));
  for (const target of wanted) await build(executableStep(target));
  if (args.includes("--release")) await release();
}

async function release(): Promise<void> {
  const names = targets.map(releaseName);
  for (const target of targets) await build(packStep(executableOf(target), releaseName(target)));
  writeSums(names.flatMap(packedNames));
  writeFileSync("README.md", withSizes(readFileSync("README.md", "utf8"), names));
}

/** This machine's first: of it are the parts that running from source uses. */
function wantedTargets(args: string[]): Target[] {
  if (args.includes("--all") || args.includes("--release")) return [...new Set([HOST, ...targets])];
  return args.includes("--arm64") ? [...new Set<Target>([HOST, "arm64"])] : [HOST];
}
