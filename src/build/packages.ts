/** The compilers, libraries and npm packages that a build needs. */
import { existsSync, readFileSync } from "node:fs";
import { dependencies } from "../../package.json";
import { installMissing, type Needed } from "./apt.ts";
import { ARCHES, HOST, type Arch } from "./arch.ts";
import { run, say } from "./step.ts";

const libraries = `/usr/lib/${ARCHES[HOST].triplet}`;

// To add one, name a file of it that the build uses.
const NATIVE: readonly Needed[] = [
  { name: "clang", proof: "/usr/bin/clang" },
  { name: "llvm", proof: "/usr/bin/llvm-strip" },
  { name: "gcc", proof: "/usr/bin/gcc" },
  { name: "libc6-dev", proof: "/usr/include/stdio.h" },
  { name: "libbpf-dev", proof: `${libraries}/libbpf.a` },
  { name: "libelf-dev", proof: `${libraries}/libelf.a` },
  { name: "zlib1g-dev", proof: `${libraries}/libz.a` },
];

/** The packers, and the tools that make packages of other systems and sign. */
const RELEASE: readonly Needed[] = [
  { name: "xz-utils", proof: "/usr/bin/xz" },
  { name: "zstd", proof: "/usr/bin/zstd" },
  { name: "rpm", proof: "/usr/bin/rpmbuild" },
  { name: "openssh-client", proof: "/usr/bin/ssh-keygen" },
];

const CROSS: Record<Arch, readonly Needed[]> = {
  x64: [],
  arm64: [
    { name: "gcc-aarch64-linux-gnu", proof: "/usr/bin/aarch64-linux-gnu-gcc" },
    { name: "libc6-dev-arm64-cross", proof: "/usr/aarch64-linux-gnu/include/stdio.h" },
  ],
};

/** A checkout that was brought up to date may have packages of an older lock file: what the executable imports is installed. */
export function installModules(): void {
  const missing = Object.entries(dependencies).filter(([name, version]) => {
    const about = `node_modules/${name}/package.json`;
    if (!existsSync(about)) return true;
    return (JSON.parse(readFileSync(about, "utf8")) as { version: string }).version !== version;
  });
  if (missing.length === 0) return;
  say("installing with npm", missing.map(([name]) => name).join(" "));
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  run(["npm", "install", "--no-save", "--ignore-scripts", ...quiet]);
}

export function installPackages(arches: readonly Arch[]): void {
  const others = arches.filter((arch) => arch !== HOST);
  installMissing("the build", [...NATIVE, ...others.flatMap((arch) => CROSS[arch])]);
}

export const installReleaseTools = (): void => installMissing("the release", RELEASE);
