/** The steps that run compilers: BPF objects, the generated layout, the shim. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { parseBtf, type Btf } from "../kernel/btf.ts";
import { ARCHES, HOST, partsOf, type Arch } from "./arch.ts";
import { elfSection } from "./elf_section.ts";
import { generateLayout, probeSource } from "./layout.ts";
import { BuildError, run, runBeside, type Step } from "./step.ts";
import { sysrootOf } from "./sysroot.ts";

/**
 * The instruction set of each object. Linux 4.4 runs -mcpu=v1. v2 came with 4.14. v3 came with 5.1, but compiles an
 * atomic sum to an instruction of 5.12.
 */
const CPUS = {
  trace: "v1",
  trace_5_10: "v2",
  trace_6_2: "v3",
  guess: "v1",
  guess_6_2: "v3",
  lookup: "v2",
} as const;
export type ObjectName = keyof typeof CPUS;
export const OBJECTS = Object.keys(CPUS) as ObjectName[];
/** The objects that Linux 4.4 takes. The other object has all of trace, and more. */
export const OLDEST = ["trace", "guess"] as const;

export const objectFile = (arch: Arch, name: ObjectName): string =>
  `${partsOf(arch)}/${name}.bpf.o`;
/** The same with line numbers, for messages about an instruction. They would more than double what the kernel is given. */
export const objectFileWithLines = (arch: Arch, name: ObjectName): string =>
  `${partsOf(arch)}/${name}.lines.bpf.o`;
export const shimFile = (arch: Arch): string => `${partsOf(arch)}/shim.so`;
export const LAYOUT = "src/record/layout.gen.ts";
/** The headers that hold what C and TypeScript share; LAYOUT is generated from them. */
const SHARED = [
  "bpf/record.h",
  "bpf/public.h",
  "bpf/lib/abi.h",
  "bpf/guess.h",
  "bpf/lookup.h",
  "src/kernel/shim/shared.h",
];

const WITHOUT_LINES = [
  "--strip-unneeded",
  "--remove-section=.BTF.ext",
  "--remove-section=.rel.BTF.ext",
];
const WARNINGS = ["-Wall", "-Wextra", "-Werror"];

export function objectStep(arch: Arch, name: ObjectName): Step {
  const source = `bpf/${name}.bpf.c`;
  const out = objectFile(arch, name);
  const withLines = objectFileWithLines(arch, name);
  return {
    name: `clang ${name} ${arch}`,
    // One of the sources includes another.
    inputs: [source, ...filesBelow("bpf", ".c"), ...filesBelow("bpf", ".h")],
    outputs: [out, withLines],
    recipe: [...clang(arch, source, out, CPUS[name]), ...WITHOUT_LINES].join(" "),
    async run() {
      await runBeside(clang(arch, source, withLines, CPUS[name]));
      // Drops the DWARF, keeps the BTF.
      run(["llvm-strip", "-g", withLines]);
      run(["llvm-objcopy", ...WITHOUT_LINES, withLines, `${out}.new`]);
      renameSync(`${out}.new`, out);
    },
  };
}

/** Also proves that every architecture has the same layout: there is one generated file for all. */
export function layoutStep(arches: readonly Arch[]): Step {
  return {
    name: "layout.gen.ts",
    inputs: [
      ...SHARED,
      "src/build/layout.ts",
      "src/kernel/btf.ts",
      ...arches.flatMap((arch) => OBJECTS.map((name) => objectFile(arch, name))),
    ],
    outputs: [LAYOUT],
    recipe: "",
    run() {
      const [layout, ...others] = arches.map(layoutOf);
      if (layout === undefined || others.some((other) => other !== layout))
        throw new BuildError(`${LAYOUT}: the architectures ${arches.join(", ")} disagree`);
      if (!existsSync(LAYOUT) || readFileSync(LAYOUT, "utf8") !== layout)
        writeFileSync(LAYOUT, layout);
    },
  };
}

/** The text of layout.gen.ts, from the built objects. */
export function layoutOf(arch: Arch): string {
  const source = `${partsOf(arch)}/layout_probe.c`;
  const out = `${partsOf(arch)}/layout_probe.o`;
  const texts = SHARED.map((name) => [name, readFileSync(name, "utf8")]);
  writeFileSync(source, probeSource(Object.fromEntries(texts)));
  run(clang(arch, source, out));
  const trace = btfOf(objectFile(arch, "trace_5_10"));
  return generateLayout(btfOf(out), { trace, guess: btfOf(objectFile(arch, "guess")) });
}

/** `libelf` is another archive than the package's, or null. */
export function shimStep(arch: Arch, libelf: string | null): Step {
  const out = shimFile(arch);
  return {
    name: `shim ${arch}`,
    inputs: [
      ...filesIn("src/kernel/shim", ".c"),
      ...filesIn("src/kernel/shim", ".h"),
      // A line is made of a record.
      "bpf/record.h",
      ...(libelf === null ? [] : [libelf]),
    ],
    outputs: [out],
    recipe: gcc(arch, "ROOT", out, libelf).join(" "),
    run() {
      linkShim(arch, `${out}.new`, libelf);
      renameSync(`${out}.new`, out);
    },
  };
}

export function linkShim(arch: Arch, out: string, libelf: string | null): void {
  run(gcc(arch, sysrootOf(arch), out, libelf));
}

/** The host's uapi headers serve for every architecture. */
function clang(arch: Arch, source: string, out: string, cpu = "v1"): string[] {
  mkdirSync(partsOf(arch), { recursive: true });
  return [
    "clang",
    ..."-O2 -g -target bpf -fno-stack-protector".split(" "),
    // The BTF names its sources from here, so that it is the same in any directory.
    "-fdebug-compilation-dir=.",
    `-mcpu=${cpu}`,
    ...WARNINGS,
    `-D${ARCHES[arch].bpfMacro}`,
    `-I/usr/include/${ARCHES[HOST].triplet}`,
    "-Ibpf",
    "-I.",
    "-c",
    source,
    "-o",
    out,
  ];
}

/**
 * Debian's archives are not position-independent and want a new glibc; compat.c, elf_error.c and
 * these flags make of them a library that needs glibc 2.17 and exports nothing but sh_*.
 */
function gcc(arch: Arch, sysroot: string, out: string, libelf: string | null): string[] {
  const { triplet } = ARCHES[arch];
  const usr = `${sysroot === "/" ? "" : sysroot}/usr`;
  const archive = (library: string): string => `${usr}/lib/${triplet}/lib${library}.a`;
  return [
    arch === HOST ? "gcc" : `${triplet}-gcc`,
    ..."-std=gnu11 -O2 -fPIC -fvisibility=hidden -fno-stack-protector -U_FORTIFY_SOURCE".split(" "),
    ...WARNINGS,
    ...(arch === HOST ? [] : [`-I${usr}/include`, `-I${usr}/include/${triplet}`]),
    ..."-shared -nostartfiles -o".split(" "),
    out,
    "-I.",
    ...filesIn("src/kernel/shim", ".c"),
    archive("bpf"),
    libelf ?? archive("elf"),
    archive("z"),
    // -z defs: what a library lacks shows here, not on the host it is copied to.
    // Between libbpf and its own function: see types.c.
    "-Wl,--wrap=bpf_prog_load,--wrap=bpf_prog_bind_map",
    ..."-Wl,-z,defs -Wl,--exclude-libs,ALL -Wl,--gc-sections -Wl,-z,relro,-z,now -s".split(" "),
  ];
}

function btfOf(file: string): Btf {
  const section = elfSection(readFileSync(file), ".BTF");
  if (section === null) throw new BuildError(`${file} has no .BTF section: compile it with -g`);
  return parseBtf(section);
}

const filesIn = (directory: string, ending: string): string[] =>
  filesBelow(directory, ending).filter((file) => dirname(file) === directory);

const filesBelow = (directory: string, ending: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .toSorted()
    .map((name) => `${directory}/${name}`);
