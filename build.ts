/**
 * Builds everything into dist/; run it again and it does what has changed.
 *
 *   bun build.ts           the executable for this machine
 *   bun build.ts --arm64   the one for arm64 as well
 *   bun build.ts --all     every machine and libc
 *   bun build.ts --release all of them, packed, packages, checksums, in dist/release
 *   bun build.ts --dev     only what running from source needs
 *
 * --libelf=FILE links that libelf.a for this machine, in place of the package's; --sign=KEY signs the checksums of the release:
 * see packaging/README.md.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { executableOf, HOST, TARGETS, targets, type Arch, type Target } from "./src/build/arch.ts";
import { packageSteps, UNIT, writeSbom } from "./src/build/distribution.ts";
import { copyStep, embedded, executableStep } from "./src/build/executable.ts";
import { noticeFile, noticeStep } from "./src/build/licenses.ts";
import { layoutStep, objectFile, OBJECTS, objectStep, shimStep } from "./src/build/native.ts";
import { installModules, installPackages, installReleaseTools } from "./src/build/packages.ts";
import {
  packedNames,
  packStep,
  RELEASE,
  releaseName,
  signSums,
  SIZES_PAGE,
  withSizes,
  writeSums,
} from "./src/build/release.ts";
import { sourceDate } from "./src/build/source_date.ts";
import { build, BuildError, say } from "./src/build/step.ts";

/** Files of the release beside the executables. */
const PLAIN = [
  [noticeFile("x64"), "NOTICE"],
  [UNIT, "tracer-bpf.service"],
] as const;

const LIBELF = "--libelf=";
const SIGN = "--sign=";
const FLAGS = ["--arm64", "--all", "--release", "--dev"];

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}

async function main(args: string[]): Promise<void> {
  const isKnown = (arg: string) =>
    FLAGS.includes(arg) || arg.startsWith(LIBELF) || arg.startsWith(SIGN);
  const unknown = args.find((arg) => !isKnown(arg));
  if (unknown !== undefined)
    throw new BuildError(
      `${unknown} is not a flag of build.ts: use ${FLAGS.join(", ")}, ${LIBELF}FILE, ${SIGN}KEY`,
    );
  if (valueOf(SIGN, args) !== null && !args.includes("--release"))
    throw new BuildError(`${SIGN}KEY signs a release: add --release`);
  process.chdir(import.meta.dir);
  const wanted = wantedTargets(args);
  const arches = [...new Set<Arch>(wanted.map((target) => TARGETS[target].arch))];
  installPackages(arches);
  if (args.includes("--release")) installReleaseTools();
  installModules();
  mkdirSync("dist/embed", { recursive: true });

  await Promise.all(arches.flatMap((arch) => OBJECTS.map((name) => build(objectStep(arch, name)))));
  await build(layoutStep(arches));
  for (const arch of arches) {
    const libelf = arch === HOST ? valueOf(LIBELF, args) : null;
    await build(shimStep(arch, libelf));
    await build(noticeStep(arch, libelf));
  }
  for (const file of embedded(HOST)) await build(copyStep(file, `dist/embed/${basename(file)}`));
  if (args.includes("--dev")) return;

  await build(copyStep(objectFile(HOST, "trace_5_10"), "dist/tracer.bpf.o"));
  for (const target of wanted) await build(executableStep(target));
  if (args.includes("--release")) await release(valueOf(SIGN, args), valueOf(LIBELF, args));
}

async function release(key: string | null, libelf: string | null): Promise<void> {
  const epoch = sourceDate();
  const names = targets.map(releaseName);
  for (const target of targets) await build(packStep(executableOf(target), releaseName(target)));
  const packages = targets.flatMap((target) => packageSteps(target, epoch));
  for (const step of packages) await build(step);
  const lists = targets.map((target) => writeSbom(target, epoch, libelf));
  for (const [from, name] of PLAIN) copyFileSync(from, join(RELEASE, name));
  const plain = PLAIN.map(([, name]) => name);
  writeSums([
    ...names.flatMap(packedNames),
    ...packages.map(({ file }) => file),
    ...lists,
    ...plain,
  ]);
  if (key === null) say("SHA256SUMS", `unsigned: ${SIGN}KEY signs it`);
  else signSums(key);
  writeFileSync(SIZES_PAGE, withSizes(readFileSync(SIZES_PAGE, "utf8"), names));
}

/** Of a flag that ends in "="; null: it is not given. */
function valueOf(flag: string, args: string[]): string | null {
  return args.find((arg) => arg.startsWith(flag))?.slice(flag.length) ?? null;
}

/** This machine's first: of it are the parts that running from source uses. */
function wantedTargets(args: string[]): Target[] {
  if (args.includes("--all") || args.includes("--release")) return [...new Set([HOST, ...targets])];
  return args.includes("--arm64") ? [...new Set<Target>([HOST, "arm64"])] : [HOST];
}
