/** The compilers and libraries a build needs, and installing them. */
import { existsSync } from "node:fs";
import { ARCHES, HOST, type Arch } from "./arch.ts";
import { BuildError, say } from "./step.ts";

interface Package {
  name: string;
  /** A file that only it brings. */
  proof: string;
}

const libraries = `/usr/lib/${ARCHES[HOST].triplet}`;

// To add one, name a file of it that the build uses.
const NATIVE: readonly Package[] = [
  { name: "clang", proof: "/usr/bin/clang" },
  { name: "llvm", proof: "/usr/bin/llvm-strip" },
  { name: "gcc", proof: "/usr/bin/gcc" },
  { name: "libc6-dev", proof: "/usr/include/stdio.h" },
  { name: "libbpf-dev", proof: `${libraries}/libbpf.a` },
  { name: "libelf-dev", proof: `${libraries}/libelf.a` },
  { name: "zlib1g-dev", proof: `${libraries}/libz.a` },
  // For the release only.
  { name: "xz-utils", proof: "/usr/bin/xz" },
];

const CROSS: Record<Arch, readonly Package[]> = {
  x64: [],
  arm64: [
    { name: "gcc-aarch64-linux-gnu", proof: "/usr/bin/aarch64-linux-gnu-gcc" },
    { name: "libc6-dev-arm64-cross", proof: "/usr/aarch64-linux-gnu/include/stdio.h" },
  ],
};

/** As root on Debian and Ubuntu installs what is missing; anybody else is told the one command. */
export function installPackages(arches: readonly Arch[]): void {
  const wanted = [...NATIVE, ...arches.filter((arch) => arch !== HOST).flatMap((a) => CROSS[a])];
  const missing = wanted.filter((item) => !existsSync(item.proof)).map((item) => item.name);
  if (missing.length === 0) return;
  const install = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (!existsSync("/usr/bin/apt-get"))
    throw new BuildError(
      `the build needs ${missing.join(", ")}: install what this distribution calls so`,
    );
  if (process.getuid?.() !== 0)
    throw new BuildError(
      `the build needs ${missing.join(", ")}: run\n  sudo sh -c 'apt-get update && ${install}'`,
    );
  say("installing with apt", missing.join(" "));
  for (const command of ["apt-get update", install]) apt(command);
  const still = wanted.filter((item) => !existsSync(item.proof));
  if (still.length > 0)
    throw new BuildError(
      `apt installed everything, but ${still.map((item) => item.proof).join(", ")} is not there`,
    );
}

/** apt speaks while it works: on a slow line this takes minutes. */
function apt(command: string): void {
  const child = Bun.spawnSync(command.split(" "), {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdin: "ignore",
    // Progress, not a result.
    stdout: 2,
    stderr: "inherit",
  });
  if (!child.success)
    throw new BuildError(`${command} failed (exit ${child.exitCode}): its reason is above`);
}
