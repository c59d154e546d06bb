/** The compilers and libraries that a build needs. */
import { installMissing, type Needed } from "./apt.ts";
import { ARCHES, HOST, type Arch } from "./arch.ts";

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
  // For the release only.
  { name: "xz-utils", proof: "/usr/bin/xz" },
];

const CROSS: Record<Arch, readonly Needed[]> = {
  x64: [],
  arm64: [
    { name: "gcc-aarch64-linux-gnu", proof: "/usr/bin/aarch64-linux-gnu-gcc" },
    { name: "libc6-dev-arm64-cross", proof: "/usr/aarch64-linux-gnu/include/stdio.h" },
  ],
};

export function installPackages(arches: readonly Arch[]): void {
  const others = arches.filter((arch) => arch !== HOST);
  installMissing("the build", [...NATIVE, ...others.flatMap((arch) => CROSS[arch])]);
}
