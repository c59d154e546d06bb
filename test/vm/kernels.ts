import { compareVersions } from "./version.ts";

export type Arch = "amd64" | "arm64";
export type Flavour = "cloud" | "generic" | "rt";

/** The name of a kernel, as a user types it: `6.12`, `6.12-rt`, `6.1-arm64`, `newest-generic`. */
export type KernelName = { series: string; flavour: Flavour; arch: Arch };

/** One package of Debian's archive that holds a bootable kernel. */
export type KernelPackage = {
  package: string;
  version: string;
  arch: Arch;
  series: string;
  flavour: Flavour;
  /** The output of `uname -r` in it. */
  release: string;
  url: string;
  sha256: string;
  bytes: number;
  /** The package that holds its modules; from 7.2 on a package of their own. Absent: the same package. */
  modules?: { url: string; sha256: string };
};

export type MatrixRow = { name: string; required: boolean };

// The lab's kernels. To add one, write its name; `required` rows must exist in the archive or the
// cache. The newest cloud kernel is among them: matrix.ts adds every series newer than the last here.
export const matrix: readonly MatrixRow[] = [
  { name: "5.10", required: true },
  { name: "6.1", required: true },
  { name: "6.12", required: true },
  { name: "6.16", required: false },
  { name: "6.17", required: false },
  { name: "6.18", required: false },
  { name: "6.19", required: false },
  { name: "7.0", required: false },
  { name: "7.1", required: false },
  { name: "7.2", required: false },
  { name: "7.3", required: false },
  { name: "5.10-generic", required: false },
  { name: "6.1-generic", required: false },
  { name: "6.12-generic", required: false },
  { name: "newest-generic", required: false },
  { name: "5.10-rt", required: false },
  { name: "6.1-rt", required: false },
  { name: "6.12-rt", required: false },
  { name: "newest-rt", required: false },
  { name: "6.1-arm64", required: false },
  { name: "newest-arm64", required: false },
];

/** Reads a kernel's name; undefined when it is none. */
export function parseKernelName(text: string): KernelName | undefined {
  const match = /^(\d+\.\d+|newest)(?:-(cloud|generic|rt))?(?:-(amd64|arm64))?$/.exec(text);
  if (!match) return undefined;
  return {
    series: match[1]!,
    flavour: (match[2] ?? "cloud") as Flavour,
    arch: (match[3] ?? "amd64") as Arch,
  };
}

/** The shortest text that parseKernelName reads back as the same kernel. */
export function kernelNameText(name: KernelName): string {
  const flavour = name.flavour === "cloud" ? "" : `-${name.flavour}`;
  const arch = name.arch === "amd64" ? "" : `-${name.arch}`;
  return name.series + flavour + arch;
}

/** The packages of a Packages index that hold a kernel image; `base` is the URL its paths start at. */
export function parseKernelPackages(index: string, base: string): KernelPackage[] {
  const found: KernelPackage[] = [];
  const modules = new Map<string, { url: string; sha256: string }>();
  for (const stanza of index.split("\n\n")) {
    // Most stanzas of a full index are not kernels: look at the name before parsing the fields.
    const [, kind] = /^Package: linux-(image|binary|modules)-\d/m.exec(stanza) ?? [];
    if (kind === undefined) continue;
    const kernel = kind === "modules" ? undefined : parseKernelStanza(stanza, base);
    if (kernel) found.push(kernel);
    if (kind === "modules") addModules(modules, parseStanza(stanza), base);
  }
  return found.map((kernel) => {
    const own = modules.get(`${kernel.release} ${kernel.version}`);
    return own ? { ...kernel, modules: own } : kernel;
  });
}

/**
 * The packages for a name, the one to take first. "newest" means the newest release: a release
 * candidate is only taken where its series has nothing else. Empty: not in the archive.
 */
export function kernelCandidates(
  packages: readonly KernelPackage[],
  name: KernelName,
): KernelPackage[] {
  const fitting = packages
    .filter((p) => p.flavour === name.flavour && p.arch === name.arch)
    .filter((p) => name.series === "newest" || p.series === name.series)
    .toSorted(newestFirst);
  return fitting.filter((p) => p.series === fitting[0]?.series);
}

/** Series newer than every one the matrix lists, so that a new kernel joins the matrix by itself. */
export function newerSeries(packages: readonly KernelPackage[]): string[] {
  const listed = matrix.flatMap(({ name }) => parseKernelName(name)?.series ?? []);
  const highest = listed
    .filter((series) => series !== "newest")
    .toSorted(compareVersions)
    .at(-1)!;
  const all = packages.filter((p) => p.flavour === "cloud" && p.arch === "amd64");
  return [...new Set(all.map((p) => p.series))]
    .filter((series) => compareVersions(series, highest) > 0)
    .toSorted(compareVersions);
}

/** The fields of one stanza; continuation lines are joined. */
export function parseStanza(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of stanza.replaceAll(/\n[ \t]/g, " ").split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

// Packages below this size only depend on others: metapackages, and linux-image from 6.19 on, whose
// kernel moved to linux-binary.
const smallestKernelBytes = 4 << 20;

function parseKernelStanza(stanza: string, base: string): KernelPackage | undefined {
  const fields = parseStanza(stanza);
  const name = fields.get("Package") ?? "";
  const match =
    /^linux-(?:image|binary)-((\d+\.\d+)\S*?-(cloud-|rt-)?(amd64|arm64))(?:-unsigned)?$/.exec(name);
  const bytes = Number(fields.get("Size") ?? 0);
  const path = fields.get("Filename");
  const sha256 = fields.get("SHA256");
  const version = fields.get("Version");
  if (!match || !path || !sha256 || !version || bytes < smallestKernelBytes) return undefined;
  return {
    package: name,
    version,
    arch: match[4] as Arch,
    series: match[2]!,
    flavour: match[3] ? (match[3].slice(0, -1) as Flavour) : "generic",
    release: match[1]!,
    url: urlOf(path, base),
    sha256,
    bytes,
  };
}

/** Under the release and the version of the kernel that they belong to. */
function addModules(
  found: Map<string, { url: string; sha256: string }>,
  fields: ReadonlyMap<string, string>,
  base: string,
): void {
  const release = (fields.get("Package") ?? "").replace(/^linux-modules-/, "");
  const path = fields.get("Filename");
  const sha256 = fields.get("SHA256");
  if (path === undefined || sha256 === undefined) return;
  found.set(`${release} ${fields.get("Version")}`, { url: urlOf(path, base), sha256 });
}

const urlOf = (path: string, base: string): string =>
  new URL(path, base.endsWith("/") ? base : `${base}/`).href;

function newestFirst(a: KernelPackage, b: KernelPackage): number {
  return (
    Number(isCandidate(a)) - Number(isCandidate(b)) ||
    compareVersions(b.version, a.version) ||
    // The signed package is the one people run.
    Number(a.package.endsWith("-unsigned")) - Number(b.package.endsWith("-unsigned"))
  );
}

function isCandidate(kernel: KernelPackage): boolean {
  return kernel.version.includes("~rc");
}
