// Brings kernels and the guest's user space from Debian's archive into the cache.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { cacheDirectory, download, readIndex } from "./archive.ts";
import {
  type Arch,
  kernelCandidates,
  kernelNameText,
  type KernelName,
  type KernelPackage,
  newerSeries,
} from "./kernels.ts";
import { guestPackages } from "./packages.ts";
import { runShell } from "./process.ts";

export type CachedKernel = KernelPackage & {
  vmlinuz: string;
  /** A module from the same package, tcp_htcp.ko or tcp_htcp.ko.xz; null: from 7.2 on there is none in it. */
  module?: string | null;
  /** Why it is not the archive's newest. */
  note?: string;
};

/**
 * The newest kernel of that name, fetched once. A kernel the archive no longer has is taken from the
 * cache; undefined when it is in neither.
 */
export async function fetchKernel(name: KernelName): Promise<CachedKernel | undefined> {
  const candidates = kernelCandidates((await readIndex()).kernels, name);
  const newest = candidates[0];
  // "newest" and its series share one place, so that the same kernel is not kept twice.
  const text = kernelNameText({ ...name, series: newest?.series ?? name.series });
  const directory = join(cacheDirectory, "kernels", text);
  const cached = readCached(directory);
  if (!newest) {
    return (
      cached && {
        ...cached,
        note: `${cached.release} from the cache: no longer in Debian's archive`,
      }
    );
  }
  if (cached?.newestSha256 === newest.sha256 && cached.module !== undefined) return cached;
  try {
    await fetchOnce(directory, () => downloadFirst(candidates, directory));
  } catch (error) {
    if (!cached) throw error;
    return { ...cached, note: `${cached.release} from the cache: ${(error as Error).message}` };
  }
  return readCached(directory);
}

/** Names of kernels newer than any the matrix lists. */
export async function newerKernels(): Promise<string[]> {
  return newerSeries((await readIndex()).kernels);
}

/** A directory with the guest's libc and busybox for one architecture, unpacked from Debian's packages. */
export const fetchUserland = (arch: Arch): Promise<string> =>
  fetchPackages(arch, "userland", guestPackages);

/** A directory `part` of the cache with these packages for one architecture, unpacked. */
export async function fetchPackages(
  arch: Arch,
  part: string,
  names: readonly string[],
): Promise<string> {
  const directory = join(cacheDirectory, part, arch);
  const complete = join(directory, "packages");
  const text = names.join(" ");
  if (existsSync(complete) && readFileSync(complete, "utf8") === text) return directory;
  await fetchOnce(directory, () => downloadPackages(arch, directory, names));
  return directory;
}

// Two guests of one process may want the same file: the second waits for the first. Two processes may
// both download; each renames a whole directory into place, and the last one stays.
const underway = new Map<string, Promise<void>>();

function fetchOnce(key: string, fetch: () => Promise<void>): Promise<void> {
  const running = underway.get(key) ?? fetch().finally(() => underway.delete(key));
  underway.set(key, running);
  return running;
}

/** The content of kernel.json. The newest's hash tells a later run whether the archive has moved on. */
type Cached = KernelPackage & { newestSha256: string; note?: string; module?: string | null };

function readCached(directory: string): (CachedKernel & Cached) | undefined {
  const file = (name: string) => join(directory, name);
  if (!existsSync(file("kernel.json"))) return undefined;
  const kernel = JSON.parse(readFileSync(file("kernel.json"), "utf8")) as Cached;
  const module = kernel.module && { module: file(kernel.module) };
  return { ...kernel, ...module, vmlinuz: file("vmlinuz") };
}

// A mirror's index may name packages that its pool has already lost: then the next best will do.
const attempts = 16;

async function downloadFirst(candidates: readonly KernelPackage[], directory: string) {
  const newest = candidates[0]!;
  const failures: string[] = [];
  for (const kernel of candidates.slice(0, attempts)) {
    const note =
      kernel === newest
        ? {}
        : { note: `${kernel.package}, as ${newest.package} cannot be downloaded` };
    try {
      return await downloadKernel({ ...kernel, newestSha256: newest.sha256, ...note }, directory);
    } catch (error) {
      failures.push((error as Error).message);
      console.error(`vm: ${(error as Error).message}`);
    }
  }
  throw new Error(failures[0]);
}

async function downloadKernel(kernel: Cached, directory: string): Promise<void> {
  console.error(`vm: downloading ${kernel.package} (${Math.round(kernel.bytes / 1e6)} MB)`);
  await inFreshDirectory(directory, async (fresh) => {
    const deb = join(fresh, "kernel.deb");
    await download(kernel.url, kernel.sha256, deb);
    // boot/vmlinuz-<release> up to 7.1, usr/lib/modules/<release>/vmlinuz from 7.2 on.
    await runShell(
      'dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards "./boot/vmlinuz-*" "./usr/lib/modules/*/vmlinuz" >"$2" 2>/dev/null || test -s "$2"',
      deb,
      join(fresh, "vmlinuz"),
    ).catch(() => {
      throw new Error(`${kernel.package} holds no vmlinuz where the lab looks; see downloadKernel`);
    });
    // Small, unused by anything, and easy to give work: a congestion control.
    await runShell(
      'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --no-anchored --transform "s,.*/,," --wildcards "tcp_htcp.ko*" 2>/dev/null || true',
      deb,
      fresh,
    );
    rmSync(deb);
    const module = readdirSync(fresh).find((name) => name.startsWith("tcp_htcp.ko")) ?? null;
    const cached: Cached = { ...kernel, module };
    writeFileSync(join(fresh, "kernel.json"), JSON.stringify(cached, undefined, 1));
  });
}

async function downloadPackages(
  arch: Arch,
  directory: string,
  names: readonly string[],
): Promise<void> {
  const { userland } = await readIndex();
  console.error(`vm: downloading for ${arch}: ${names.join(" ")}`);
  await inFreshDirectory(directory, async (fresh) => {
    for (const name of names) {
      const chosen = userland.find((found) => found.package === name && found.arch === arch);
      if (!chosen) throw new Error(`${name} for ${arch} is not in Debian's archive`);
      const deb = join(fresh, `${name}.deb`);
      await download(chosen.url, chosen.sha256, deb);
      await runShell('dpkg-deb -x "$1" "$2"', deb, fresh);
      rmSync(deb);
    }
    writeFileSync(join(fresh, "packages"), names.join(" "));
  });
}

/** Fills a new directory and puts it in place of the old one only when it is complete. */
export async function inFreshDirectory(directory: string, fill: (fresh: string) => Promise<void>) {
  mkdirSync(dirname(directory), { recursive: true });
  const fresh = mkdtempSync(`${directory}.new-`);
  try {
    await fill(fresh);
    rmSync(directory, { recursive: true, force: true });
    renameSync(fresh, directory);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
