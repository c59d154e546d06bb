/** What differs between the machines we build for. To add one, add a row and its registers in bpf/kernel.h. */
export const ARCHES = {
  x64: {
    debian: "amd64",
    /** Names libraries and compilers of this machine. */
    triplet: "x86_64-linux-gnu",
    bpfMacro: "__TARGET_ARCH_x86",
    bunTarget: "bun-linux-x64",
    bunPackage: "@oven/bun-linux-x64",
  },
  arm64: {
    debian: "arm64",
    triplet: "aarch64-linux-gnu",
    bpfMacro: "__TARGET_ARCH_arm64",
    bunTarget: "bun-linux-arm64",
    bunPackage: "@oven/bun-linux-aarch64",
  },
} as const;

export type Arch = keyof typeof ARCHES;

export const HOST: Arch = process.arch === "arm64" ? "arm64" : "x64";

/** Where the files that go into this machine's executable are built. */
export const partsOf = (arch: Arch): string => `dist/${arch}`;

export const executableOf = (arch: Arch): string =>
  arch === HOST ? "dist/tracer-bpf" : `dist/tracer-bpf-${arch}`;
