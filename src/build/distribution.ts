/** Beside each executable: its list of parts, and for glibc the packages of distributions. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { executableOf, HOST, TARGETS, type Target } from "./arch.ts";
import { debName, writeDeb } from "./deb.ts";
import { noticeFile, partsInside } from "./licenses.ts";
import { RELEASE, releaseName, sha256 } from "./release.ts";
import { rpmName, writeRpm } from "./rpm.ts";
import { sbom } from "./sbom.ts";
import { run, type Step } from "./step.ts";

export const UNIT = "packaging/tracer-bpf.service";

/** To add a kind of package, add a row. */
const KINDS = [
  { nameOf: debName, write: writeDeb },
  { nameOf: rpmName, write: writeRpm },
] as const;

/** None of musl: its distributions have other packages. `epoch`: the time of their files, in seconds since 1970. */
export function packageSteps(target: Target, epoch: number): (Step & { file: string })[] {
  const { arch, libc } = TARGETS[target];
  if (libc !== "glibc") return [];
  const executable = executableOf(target);
  const notice = noticeFile(arch);
  return KINDS.map(({ nameOf, write }) => {
    const file = nameOf(arch);
    const to = join(RELEASE, file);
    return {
      file,
      name: `release ${file}`,
      inputs: [executable, executableOf(HOST), notice, UNIT, ...SOURCES],
      outputs: [to],
      recipe: `${epoch}`,
      run: () => write(arch, { executable, notice, unit: UNIT, printed, epoch }, to),
    };
  });
}

/** Writes the list of an executable's parts; returns its name. */
export function writeSbom(target: Target, epoch: number, libelf: string | null): string {
  const file = releaseName(target);
  const { arch } = TARGETS[target];
  const name = `${file}.cdx.json`;
  const subject = { file, sha256: sha256(executableOf(target)), epoch };
  const parts = partsInside(arch, arch === HOST ? libelf : null);
  writeFileSync(join(RELEASE, name), sbom(parts, subject));
  return name;
}

// --- internal ---

const SOURCES = ["deb", "rpm", "package_files", "package_scripts"].map(
  (name) => `src/build/${name}.ts`,
);

/** All executables print the same; this machine runs its own. */
const printed = (...args: string[]): string => run([executableOf(HOST), ...args]);
