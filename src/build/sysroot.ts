/** Static libbpf, libelf and zlib of another architecture, without making this machine multiarch. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { ownState } from "./apt.ts";
import { ARCHES, HOST, type Arch } from "./arch.ts";
import { cacheDirectory } from "./cache.ts";
import { run, say } from "./step.ts";

const PACKAGES = ["libbpf-dev", "libelf-dev", "zlib1g-dev"];

/** The directory that holds the architecture's `usr`; "/" for this machine's own. */
export function sysrootOf(arch: Arch): string {
  if (arch === HOST) return "/";
  return unpacked(arch, PACKAGES, `${debianRelease()}-${arch}`);
}

/** Packages of this machine's release that are not installed on it: the directory they are unpacked in. */
export const unpackedPackages = (arch: Arch, packages: readonly string[]): string =>
  unpacked(arch, packages, `${debianRelease()}-${arch}-${packages.join("-")}`);

function unpacked(arch: Arch, packages: readonly string[], name: string): string {
  const root = join(cacheDirectory("sysroot"), name);
  if (!existsSync(root)) fetchPackages(arch, packages, root);
  return root;
}

/** With the other architecture as apt's native one. */
function fetchPackages(arch: Arch, packages: readonly string[], root: string): void {
  say(`fetching ${arch} libraries`, `${packages.join(" ")}, with apt`);
  mkdirSync(dirname(root), { recursive: true });
  const work = mkdtempSync(`${root}.`);
  try {
    mkdirSync(join(work, "unpacked"));
    const apt = ["apt-get", "-qq", ...ownState(work, [ARCHES[arch].debian])];
    run([...apt, "update"]);
    run([...apt, "download", ...packages], { cwd: work });
    for (const file of readdirSync(work).filter((name) => name.endsWith(".deb")))
      run(["dpkg-deb", "-x", join(work, file), join(work, "unpacked")]);
    renameSync(join(work, "unpacked"), root);
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Libraries of one release do not suit the next: its name is part of the path. */
function debianRelease(): string {
  const release = run(["sh", "-c", ". /etc/os-release; echo $ID-$VERSION_ID"]).trim();
  return release.replaceAll(/[^\w.-]/g, "_");
}
