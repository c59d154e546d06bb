/**
 * The notice inside the executable: what it consists of, under which licences, and their texts as the packages bring
 * them. Versions are those of the build; no licence text here is written by us.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dependencies, license, name, version } from "../../package.json";
import { ARCHES, partsOf, type Arch } from "./arch.ts";
import { elfSection } from "./elf_section.ts";
import { INSIDE_BUN } from "./licenses_bun.ts";
import { objectFile, shimFile } from "./native.ts";
import { BuildError, type Step } from "./step.ts";
import { sysrootOf } from "./sysroot.ts";

export const noticeFile = (arch: Arch): string => `${partsOf(arch)}/notice.txt`;

/** A part of the executable. The notice and the SBOM come from the list of them. */
export interface Part {
  name: string;
  version: string;
  /** Of its sources, where the version alone does not name them. */
  revision?: string;
  /** An SPDX expression, or where none is known, words. */
  license: string;
  remark: string | null;
  /** The package URL: the name by which databases of vulnerabilities know the part. */
  purl?: string;
  /** Whole files, by the title they get. */
  texts: Readonly<Record<string, string>>;
  /** Parts of this part. */
  inside?: readonly Part[];
}

/** `libelf` is another archive than the package's, or null. */
export function noticeStep(arch: Arch, libelf: string | null): Step {
  const out = noticeFile(arch);
  return {
    name: `notice ${arch}`,
    // The shim stands for the libraries inside it.
    inputs: ["LICENSE", "package.json", "package-lock.json", ...sources, shimFile(arch)],
    outputs: [out],
    recipe: `${Bun.revision} ${libelf}`,
    run() {
      writeFileSync(`${out}.new`, notice(arch, libelf));
      renameSync(`${out}.new`, out);
    },
  };
}

/** The first one is the program itself. `libelf` is another archive than the package's, or null. */
export const partsInside = (arch: Arch, libelf: string | null): [Part, ...Part[]] => [
  ours,
  programs(arch),
  ...libraries(arch, libelf),
  ...packages(),
  bun(),
];

export function notice(arch: Arch, libelf: string | null): string {
  const parts = partsInside(arch, libelf).flatMap((part) => [part, ...(part.inside ?? [])]);
  const rows = parts.map((part) => {
    const remark = part.remark === null ? "" : `\n    ${part.remark}`;
    const revision = part.revision === undefined ? "" : ` (${part.revision})`;
    return `  ${`${part.name} ${part.version}`.trim()}${revision}: ${part.license}${remark}\n`;
  });
  const texts = Object.entries(
    Object.assign({}, ...parts.map((part) => part.texts)) as Part["texts"],
  );
  const chapters = texts.map(([title, file]) => `\n${RULE}\n${title}\n${RULE}\n\n${textOf(file)}`);
  return `${name} ${version} consists of\n\n${rows.join("")}${chapters.join("")}`;
}

// --- internal ---

const RULE = "=".repeat(80);
const sources = ["src/build/licenses.ts", "src/build/licenses_bun.ts"];

/** Debian's packages refer to the texts that every system of its kind has here. */
const common = (...texts: string[]): Part["texts"] =>
  Object.fromEntries(texts.map((text) => [text, `/usr/share/common-licenses/${text}`]));

const ours: Part = { name, version, license, remark: null, texts: { "Apache-2.0": "LICENSE" } };

function programs(arch: Arch): Part {
  const declared = elfSection(readFileSync(objectFile(arch, "trace")), "license");
  if (declared === null) throw new BuildError("the BPF object declares no licence");
  return {
    name: "its eBPF programs",
    version: "",
    license: "GPL-2.0-only OR BSD-2-Clause",
    remark: `the kernel is told "${Buffer.from(declared).toString().replace("\0", "")}"`,
    texts: common("GPL-2"),
  };
}

/** The libraries that the shim links. */
function libraries(arch: Arch, libelf: string | null): Part[] {
  const root = sysrootOf(arch).replace(/\/$/, "");
  const versionOf = (library: string): string => {
    const file = `${root}/usr/lib/${ARCHES[arch].triplet}/pkgconfig/${library}.pc`;
    return /^Version: *(.*)$/m.exec(textOf(file))?.[1] ?? "";
  };
  const copyright = (debian: string): Part["texts"] => ({
    [`${debian}: copyright`]: `${root}/usr/share/doc/${debian}/copyright`,
  });
  const purlOf = (source: string, of: string): string => `pkg:generic/${source}@${of}`;
  return [
    {
      name: "libbpf",
      version: versionOf("libbpf"),
      purl: purlOf("libbpf", versionOf("libbpf")),
      license: "LGPL-2.1-only OR BSD-2-Clause",
      remark: "used under BSD-2-Clause",
      texts: copyright("libbpf-dev"),
    },
    {
      name: "libelf of elfutils",
      ...(libelf === null
        ? { version: versionOf("libelf"), purl: purlOf("elfutils", versionOf("libelf")) }
        : { version: "(another one than Debian's)" }),
      license: "LGPL-3.0-or-later OR GPL-2.0-or-later",
      remark:
        "used under LGPL-3.0-or-later; packaging/README.md in the sources says how to link another one",
      texts: { ...copyright("libelf-dev"), ...common("LGPL-3", "GPL-3") },
    },
    {
      name: "zlib",
      version: versionOf("zlib"),
      purl: purlOf("zlib", versionOf("zlib")),
      license: "Zlib",
      remark: null,
      texts: copyright("zlib1g-dev"),
    },
  ];
}

/** The packages that the command depends on, directly or not. */
function packages(): Part[] {
  const found = new Map<string, Part>();
  const add = (packageName: string): void => {
    if (found.has(packageName)) return;
    const about = JSON.parse(textOf(`node_modules/${packageName}/package.json`)) as {
      version: string;
      license: string;
      dependencies?: Record<string, string>;
      peerDependencies?: Record<string, string>;
    };
    found.set(packageName, {
      name: packageName,
      version: about.version,
      license: about.license,
      remark: null,
      purl: `pkg:npm/${packageName.replace("@", "%40")}@${about.version}`,
      texts: { [`${packageName}: LICENSE`]: `node_modules/${packageName}/LICENSE` },
    });
    const inner = { ...about.dependencies, ...about.peerDependencies };
    for (const innerName of Object.keys(inner)) add(innerName);
  };
  for (const packageName of Object.keys(dependencies)) add(packageName);
  return [...found.values()];
}

/** Its npm package brings no texts; its sources do, at the very revision that is inside. */
function bun(): Part {
  const known = INSIDE_BUN.filter(({ key }) => process.versions[key] !== undefined);
  return {
    name: "Bun",
    version: Bun.version,
    revision: Bun.revision,
    license: "MIT",
    remark: `all that is inside it, and how to relink it: https://github.com/oven-sh/bun/blob/${Bun.revision}/LICENSE.md`,
    purl: `pkg:npm/bun@${Bun.version}`,
    texts: {},
    inside: known.map(({ key, title, spdx, remark = null, texts = [] }) => ({
      name: title,
      version: process.versions[key]!,
      license: spdx,
      remark,
      texts: common(...texts),
    })),
  };
}

function textOf(file: string): string {
  if (!existsSync(file))
    throw new BuildError(
      `${file} is missing: the executable has to hold the licences of its parts`,
    );
  return readFileSync(file, "utf8");
}
