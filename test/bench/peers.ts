/**
 * The other tracers, from Debian's archive: fetched with all their libraries, unpacked, and reduced to what they load.
 * A tracer that cannot be fetched is told, and the results say so.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { cacheDirectory, readIndex } from "../vm/archive.ts";
import { type Entry, file } from "../vm/cpio.ts";
import { run, runShell } from "../vm/process.ts";

export interface Peers {
  entries: Entry[];
  /** `libbpf-tools 0.31.0`; of a package that could not be had: why. */
  versions: Record<string, string>;
  missing: string | null;
}

const suite = "trixie";
const packages = ["libbpf-tools", "bpftrace"] as const;
/** To add a program, add its path in the package and a row in tracers.ts. */
const programs = [
  "usr/sbin/tcptracer-libbpf",
  "usr/sbin/tcplife-libbpf",
  "usr/sbin/tcptop-libbpf",
  "usr/bin/bpftrace",
];
const libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
const loader = "ld-linux-x86-64.so.2";

export async function fetchPeers(): Promise<Peers> {
  const tree = join(cacheDirectory, "peers", suite);
  try {
    if (!existsSync(join(tree, "versions.json"))) await unpack(tree);
  } catch (error) {
    return { entries: [], versions: {}, missing: (error as Error).message };
  }
  const versions = JSON.parse(readFileSync(join(tree, "versions.json"), "utf8"));
  return { entries: await entriesOf(tree), versions, missing: null };
}

// --- internal ---

async function unpack(tree: string): Promise<void> {
  await readIndex(); // so that apt's lists are there
  const archives = `${tree}.archives`;
  for (const directory of [tree, archives]) rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(archives, "partial"), { recursive: true });
  const apt = join(cacheDirectory, "apt");
  const sources = join(cacheDirectory, "peers/sources.list");
  const lines = readFileSync(join(apt, "sources.list"), "utf8").split("\n");
  const wanted = lines.filter((line) => new RegExp(` ${suite}(-security)? main$`).test(line));
  writeFileSync(
    sources,
    wanted.map((line) => `${line.replace(/arch=[\w,]+/, "arch=amd64")}\n`).join(""),
  );
  const settings = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Cache::archives": archives,
    // Resolving dependencies needs the parsed packages; in memory, so that nothing is left behind.
    "pkgCacheFile::Generate": "true",
    "Dir::Cache::pkgcache": "",
    "Dir::Cache::srcpkgcache": "",
    "APT::Get::Install-Recommends": "false",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  await run([
    "apt-get",
    "-c",
    join(apt, "apt.conf"),
    ...options,
    "-qq",
    "-y",
    "-d",
    "install",
    ...packages,
  ]);
  const debs = readdirSync(archives).filter((name) => name.endsWith(".deb"));
  const versions: Record<string, string> = {};
  for (const deb of debs) {
    await runShell(
      'dpkg-deb --fsys-tarfile "$1" | tar -xC "$2" --keep-directory-symlink',
      join(archives, deb),
      ensure(tree),
    );
    const name = deb.split("_")[0]!;
    if ((packages as readonly string[]).includes(name))
      versions[name] = decodeURIComponent(deb.split("_")[1]!);
  }
  rmSync(archives, { recursive: true });
  writeFileSync(join(tree, "versions.json"), JSON.stringify(versions));
}

const ensure = (directory: string): string => {
  mkdirSync(directory, { recursive: true });
  return directory;
};

/** The programs, the loader, and the libraries that the loader itself says they need. */
async function entriesOf(tree: string): Promise<Entry[]> {
  const places = libraries.map((place) => join(tree, place)).filter(existsSync);
  const path = places.join(":");
  const ld = places.map((place) => join(place, loader)).find(existsSync)!;
  const needed = new Set<string>();
  for (const program of programs) {
    const listed = await run([ld, "--library-path", path, "--list", join(tree, program)]);
    for (const [, found] of listed.matchAll(/=> (\S+)/g)) needed.add(found!);
  }
  return [
    file(`peers/${loader}`, readFileSync(ld), true),
    ...programs.map((program) =>
      file(`peers/bin/${basename(program)}`, readFileSync(join(tree, program)), true),
    ),
    ...[...needed]
      .filter((found) => basename(found) !== loader)
      .map((found) => file(`peers/lib/${basename(found)}`, readFileSync(found))),
  ];
}
