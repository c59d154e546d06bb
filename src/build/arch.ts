/** The machines we build for. To add one, add a row, its targets, and its registers in bpf/lib/kernel.h. */
export const ARCHES = {
  x64: {
    debian: "amd64",
    rpm: "x86_64",
    /** Names libraries and compilers of this machine. */
    triplet: "x86_64-linux-gnu",
    bpfMacro: "__TARGET_ARCH_x86",
  },
  arm64: {
    debian: "arm64",
    rpm: "aarch64",
    triplet: "aarch64-linux-gnu",
    bpfMacro: "__TARGET_ARCH_arm64",
  },
} as const;

export type Arch = keyof typeof ARCHES;

export const HOST: Arch = process.arch === "arm64" ? "arm64" : "x64";

/** Each executable: a machine and the libc that its Bun wants. Code that we compile ourselves serves both libcs. */
export const TARGETS = {
  x64: { arch: "x64", libc: "glibc", bun: "linux-x64" },
  arm64: { arch: "arm64", libc: "glibc", bun: "linux-aarch64" },
  "x64-musl": { arch: "x64", libc: "musl", bun: "linux-x64-musl" },
  "arm64-musl": { arch: "arm64", libc: "musl", bun: "linux-aarch64-musl" },
} as const satisfies Record<string, { arch: Arch; libc: "glibc" | "musl"; bun: string }>;

export type Target = keyof typeof TARGETS;

export const targets = Object.keys(TARGETS) as Target[];

/** Where the files that go into this machine's executables are built. */
export const partsOf = (arch: Arch): string => `dist/${arch}`;

export const executableOf = (target: Target): string =>
  target === HOST ? "dist/tracer-bpf" : `dist/tracer-bpf-${target}`;
