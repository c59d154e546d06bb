// The suites of Debian's archive that the lab takes kernels from: an index of them, and downloads.
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ownState } from "../../src/build/apt.ts";
import { cacheDirectory as cacheOf } from "../../src/build/cache.ts";
import { type Arch, type KernelPackage, parseKernelPackages, parseStanza } from "./kernels.ts";
import {
  enginePackages,
  guestPackages,
  netfilterPackages,
  receiverPackages,
  systemdPackages,
} from "./packages.ts";
import { run, runShell } from "./process.ts";
import { compareVersions } from "./version.ts";

export const cacheDirectory = cacheOf("vm");

/** A package the guest's user space is made of. */
export type UserlandPackage = Pick<KernelPackage, "package" | "version" | "url" | "sha256"> & {
  arch: string;
};

export type Index = {
  readAtMs: number;
  /** The names of the packages that were looked for. */
  wanted: string;
  kernels: KernelPackage[];
  userland: UserlandPackage[];
  /** Suites that could not be read. */
  missing: string[];
};

type Tree = "debian" | "debian-security";

// To add one, write the suite, the tree of the archive that has it, and what the lab wants from it.
const suites: readonly { suite: string; tree: Tree; archs: readonly Arch[] }[] = [
  { suite: "bullseye", tree: "debian", archs: ["amd64"] },
  { suite: "bullseye-security", tree: "debian-security", archs: ["amd64"] },
  { suite: "bookworm", tree: "debian", archs: ["amd64", "arm64"] },
  { suite: "bookworm-security", tree: "debian-security", archs: ["amd64", "arm64"] },
  { suite: "bookworm-backports", tree: "debian", archs: ["amd64"] },
  { suite: "trixie", tree: "debian", archs: ["amd64"] },
  { suite: "trixie-security", tree: "debian-security", archs: ["amd64"] },
  { suite: "trixie-backports", tree: "debian", archs: ["amd64", "arm64"] },
  { suite: "forky", tree: "debian", archs: ["amd64"] },
  { suite: "sid", tree: "debian", archs: ["amd64", "arm64"] },
  { suite: "experimental", tree: "debian", archs: ["amd64", "arm64"] },
];

// The guest's libc and shell come from one fixed release, so that a guest is the same on every host.
const userland: Readonly<Record<string, readonly string[]>> = {
  bookworm: [...guestPackages, ...netfilterPackages, ...systemdPackages, ...enginePackages],
  trixie: receiverPackages,
};
const userlandNames = Object.values(userland).flat();

const dayMs = 24 * 60 * 60 * 1000;
let reading: Promise<Index> | undefined;

/** The index of the archive: from the cache if it is younger than a day or the archive is unreachable. */
export function readIndex(): Promise<Index> {
  reading ??= readOrRefresh();
  return reading;
}

/** Downloads to `file` and checks the hash. */
export async function download(url: string, sha256: string, file: string): Promise<void> {
  const helper = "/usr/lib/apt/apt-helper";
  await run([helper, ...aptState(), "download-file", url, file, `SHA256:${sha256}`]);
}

async function readOrRefresh(): Promise<Index> {
  const file = join(cacheDirectory, "index.json");
  const cached = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Index) : undefined;
  if (cached && isOfAll(cached) && Date.now() - cached.readAtMs < dayMs) return cached;
  console.error("vm: reading Debian's package indices (75 MB the first time)");
  const fresh = await refresh();
  if (fresh.missing.length > 0) console.error(`vm: not to be had: ${fresh.missing.join(", ")}`);
  if (fresh.kernels.length > 0) {
    writeFileSync(`${file}.${process.pid}`, JSON.stringify(fresh, undefined, 1));
    renameSync(`${file}.${process.pid}`, file);
    return fresh;
  }
  if (!cached) {
    throw new Error(
      "Debian's archive is unreachable and nothing is cached; check the network, or apt's proxy setting",
    );
  }
  console.error(`vm: Debian's archive is unreachable, using the index of ${age(cached)} ago`);
  return cached;
}

/** An index of other packages is of no use, one of more packages is. */
function isOfAll({ wanted }: Index): boolean {
  const names = new Set(wanted.split(","));
  return userlandNames.every((name) => names.has(name));
}

async function refresh(): Promise<Index> {
  const mirrors = await hostMirrors();
  let sources = suites.map((suite) => ({ ...suite, base: mirrors[suite.tree], options: "" }));
  await update(sources);
  if (sources.some((source) => !isThere(source)) && sources.some(isThere)) {
    // Releases past their end of life move from the mirrors to the archive of old releases.
    sources = sources.map((source) => (isThere(source) ? source : archived(source)));
    await update(sources);
  }
  const index: Index = {
    readAtMs: Date.now(),
    wanted: userlandNames.join(),
    kernels: [],
    userland: [],
    missing: [],
  };
  for (const source of sources) {
    if (!isThere(source)) index.missing.push(source.suite);
    for (const list of listFiles(source)) {
      const text = await wantedStanzas(list);
      index.kernels.push(...parseKernelPackages(text, source.base));
      index.userland.push(...parseUserland(text, source.base, userland[source.suite]));
    }
  }
  return index;
}

type Source = (typeof suites)[number] & { base: string; options: string };

function archived(source: Source): Source {
  const base = source.base.replace(/\/\/[^/.]+\./, "//archive.");
  return { ...source, base, options: " check-valid-until=no" };
}

/** Fetches the indices of these sources. A failure is not fatal: what is missing is seen afterwards. */
async function update(sources: readonly Source[]): Promise<void> {
  const state = aptState();
  const lines = sources.map(
    ({ archs, options, base, suite }) =>
      `deb [arch=${archs.join(",")} signed-by=${keyring}${options}] ${base} ${suite} main\n`,
  );
  writeFileSync(join(cacheDirectory, "apt/sources.list"), lines.join(""));
  // One update at a time: apt gives up at once when another process holds its lock.
  const lock = join(cacheDirectory, "apt/lock");
  await run(["flock", lock, "apt-get", ...state, "-qq", "update"]).catch((error: Error) => {
    console.error(`vm: ${error.message}`);
  });
}

function isThere(source: Source): boolean {
  return listFiles(source).length === source.archs.length;
}

/** apt names a list after its URL; what follows "Packages" is the compression it chose to keep. */
function listFiles({ base, suite, archs }: Source): string[] {
  const directory = join(cacheDirectory, "apt/lists");
  const quote = (text: string) =>
    text.replaceAll(/[\\|{}[\]<>"^~_=!@#$%&*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  const place = quote(`${base.replace(/^\w+:\/\//, "")}/dists/${suite}/main`).replaceAll("/", "_");
  const starts = archs.map((arch) => `${place}_binary-${arch}_Packages`);
  return readdirSync(directory)
    .filter((file) => starts.some((start) => file === start || file.startsWith(`${start}.`)))
    .map((file) => join(directory, file));
}

/** A whole index is 60 MB of text, of which the lab wants a few pages: a filter picks them. */
function wantedStanzas(list: string): Promise<string> {
  const want = `^Package: (linux-(image|binary|modules)-[0-9]|(${userlandNames.join("|")})\\n)`;
  const filter = 'awk -v RS= -v ORS="\\n\\n" -v want="$2" \'$0 ~ want\'';
  return runShell(`/usr/lib/apt/apt-helper cat-file "$1" | ${filter}`, list, want);
}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The mirrors the host's own apt uses. */
async function hostMirrors(): Promise<Record<Tree, string>> {
  const targets = await run(["apt-get", "indextargets", "--format", "$(REPO_URI)"]);
  const bases = targets.split("\n").map((base) => base.replace(/\/$/, ""));
  const find = (tree: Tree) => bases.find((base) => base.endsWith(`/${tree}`));
  const debian = find("debian");
  if (debian === undefined) throw new Error("no mirror of Debian among apt's sources: add one");
  return {
    debian,
    "debian-security": find("debian-security") ?? debian.replace(/debian$/, "debian-security"),
  };
}

/** Sources of its own, and nothing that is not read. */
const aptState = (): string[] =>
  ownState(join(cacheDirectory, "apt"), ["amd64", "arm64"], {
    "Dir::Etc::sourcelist": join(cacheDirectory, "apt/sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Acquire::Languages": "none",
    "Acquire::PDiffs": "false",
    "Acquire::GzipIndexes": "true",
    "Acquire::Retries": "3",
    // Without the cache of parsed packages, which is 200 MB and takes seconds: the lab reads the lists.
    "pkgCacheFile::Generate": "false",
  });

function parseUserland(
  text: string,
  base: string,
  names: readonly string[] = [],
): UserlandPackage[] {
  const found = text.split("\n\n").flatMap((stanza) => {
    const fields = parseStanza(stanza);
    const name = fields.get("Package") ?? "";
    if (!names.includes(name)) return [];
    return {
      package: name,
      version: fields.get("Version") ?? "",
      arch: fields.get("Architecture") ?? "",
      url: `${base}/${fields.get("Filename") ?? ""}`,
      sha256: fields.get("SHA256") ?? "",
    };
  });
  return found.toSorted((a, b) => compareVersions(b.version, a.version));
}

function age(index: Index): string {
  const hours = Math.round((Date.now() - index.readAtMs) / (60 * 60 * 1000));
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}
