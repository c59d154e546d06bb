// Modules of the guest's own kernel, and nft, iptables, conntrack, ip, ipvsadm: for guests that translate addresses.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { download, readIndex } from "./archive.ts";
import { type Entry, file } from "./cpio.ts";
import { type CachedKernel, fetchPackages, inFreshDirectory } from "./fetch.ts";
import { dependenciesOf, indexModules, type KernelModule } from "./kernel_modules.ts";
import type { Arch } from "./kernels.ts";
import { netfilterPackages } from "./packages.ts";
import { runShell } from "./process.ts";
import { filesIn, sharedLibraries } from "./shared_libraries.ts";

/** Test files whose guests get all this without being asked. To add one, write its name. */
const testsOfNat = /^test\/kernel\/nat\w*\.test\.ts$/;

export const wantsNetfilter = (files: readonly string[] = []): boolean =>
  files.some((name) => testsOfNat.test(name));

/** Where init looks for programs in such a guest: iproute2's ip comes before busybox's. */
export const netfilterPath = "/usr/sbin:/bin";

/** For a guest of this kernel, 10 to 15 MB. A kernel given by path has its modules built in. */
export async function packNetfilter(
  arch: Arch,
  libraries: string,
  kernel: Partial<CachedKernel>,
): Promise<Entry[]> {
  const userland = await fetchPackages(arch, "netfilter", netfilterPackages);
  return [...programsOf(userland, libraries), ...(await modulesOf(kernel))];
}

// --- internal ---

// To add one, write its name and the path in its package.
const programs = {
  nft: "usr/sbin/nft",
  "xtables-nft-multi": "usr/sbin/xtables-nft-multi",
  "xtables-legacy-multi": "usr/sbin/xtables-legacy-multi",
  conntrack: "usr/sbin/conntrack",
  ip: "bin/ip",
  ipvsadm: "sbin/ipvsadm",
};

/** One program that is many: it goes by the name that it is called by. */
const manyNamed = {
  iptables: "xtables-nft-multi iptables",
  ip6tables: "xtables-nft-multi ip6tables",
  "iptables-legacy": "xtables-legacy-multi iptables",
};

function programsOf(userland: string, libraries: string): Entry[] {
  const extensions = `usr/${libraries}/xtables`;
  return [
    ...Object.entries(programs).map(([name, path]) =>
      file(`usr/sbin/${name}`, readFileSync(join(userland, path)), true),
    ),
    ...Object.entries(manyNamed).map(([name, command]) =>
      file(`usr/sbin/${name}`, `#!/bin/sh\nexec /usr/sbin/${command} "$@"\n`, true),
    ),
    ...sharedLibraries(userland, libraries),
    ...filesIn(userland, extensions).map((name) =>
      file(`${extensions}/${name}`, readFileSync(join(userland, extensions, name))),
    ),
    file("etc/protocols", "icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\n"),
  ];
}

/** The kernel calls modprobe by itself when a rule needs a module. */
async function modulesOf(kernel: Partial<CachedKernel>): Promise<Entry[]> {
  if (kernel.vmlinuz === undefined || !kernel.release) return [];
  const place = await fetchModules(kernel as CachedKernel);
  const top = `lib/modules/${kernel.release}`;
  return [
    file("sbin/modprobe", '#!/bin/busybox sh\nexec /bin/busybox modprobe "$@"\n', true),
    ...readdirSync(place).map((name) => file(`${top}/${name}`, readFileSync(join(place, name)))),
  ];
}

/** A folder with the modules, unpacked, and the two indices that modprobe reads. It lies beside the kernel. */
async function fetchModules(kernel: CachedKernel): Promise<string> {
  const directory = join(dirname(kernel.vmlinuz), "netfilter");
  if (existsSync(directory)) return directory;
  const { url, sha256 } = await modulesPackage(kernel);
  console.error(`vm: downloading the modules of ${kernel.release}`);
  await inFreshDirectory(directory, async (fresh) => {
    const unpacked = `${fresh}.unpacked`;
    try {
      mkdirSync(unpacked);
      const deb = join(unpacked, "modules.deb");
      await download(url, sha256, deb);
      await runShell(
        'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --no-anchored --wildcards "*.ko*"; find "$2" -name "*.ko.xz" -exec xz -d {} +',
        deb,
        unpacked,
      );
      const wanted = wantedModules(unpacked);
      if (wanted.length === 0) throw new Error(`${basename(url)} holds no modules`);
      for (const { path } of wanted) writeFileSync(join(fresh, basename(path)), readFileSync(path));
      const { dep, alias } = indexModules(wanted);
      writeFileSync(join(fresh, "modules.dep"), dep);
      writeFileSync(join(fresh, "modules.alias"), alias);
    } finally {
      rmSync(unpacked, { recursive: true, force: true });
    }
  });
  return directory;
}

async function modulesPackage(kernel: CachedKernel): Promise<{ url: string; sha256: string }> {
  if (kernel.module !== null) return kernel;
  const { kernels } = await readIndex();
  const own = kernels.find(({ sha256 }) => sha256 === kernel.sha256)?.modules;
  if (own) return own;
  throw new Error(`the modules of ${kernel.release} are not in Debian's archive`);
}

/** Folders below net/ whose modules are all wanted, and modules of other folders. To add one, write its name. */
const wantedFolders = /\/net\/(netfilter|netfilter\/ipvs|ipv4\/netfilter|ipv6\/netfilter|bridge)$/;
const wantedNames = new Set(["veth", "dummy"]);

function wantedModules(unpacked: string): KernelModule[] {
  const all = readdirSync(unpacked, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ko"))
    .map((name) => join(unpacked, name));
  return dependenciesOf(
    all,
    (path) => wantedFolders.test(dirname(path)) || wantedNames.has(basename(path, ".ko")),
  );
}
