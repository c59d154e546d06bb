/** Debian's package of an executable, by `dpkg-deb`. */
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { ARCHES, type Arch } from "./arch.ts";
import {
  about,
  packageFiles,
  writePackaged,
  type Packaged,
  type PackageSources,
} from "./package_files.ts";
import { debScripts } from "./package_scripts.ts";
import { run } from "./step.ts";

export const debName = (arch: Arch): string =>
  `${about.name}_${about.version}_${ARCHES[arch].debian}.deb`;

/** The same sources give the same bytes. */
export function writeDeb(arch: Arch, sources: PackageSources, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  const root = mkdtempSync(`${to}.`);
  try {
    const files = packageFiles(sources, PLACES);
    writePackaged(root, files);
    const sizes = files.map(({ path }) => lstatSync(join(root, path)).size);
    const kibibytes = sizes.reduce((sum, size) => sum + Math.ceil(size / 1024), 0);
    writePackaged(root, [
      { path: "DEBIAN/control", mode: 0o644, from: Buffer.from(control(arch, kibibytes)) },
      { path: "DEBIAN/md5sums", mode: 0o644, from: Buffer.from(md5sums(root, files)) },
      ...Object.entries(debScripts).map(([script, text]) => ({
        path: `DEBIAN/${script}`,
        mode: 0o755,
        from: Buffer.from(`#!/bin/sh\nset -e\n${text}`),
      })),
    ]);
    run([
      ...["env", `SOURCE_DATE_EPOCH=${sources.epoch}`],
      // xz: dpkg takes zstd only since 2022. One thread: several make other bytes.
      ..."dpkg-deb --root-owner-group -Zxz -z6 --threads-max=1 --build".split(" "),
      ...[root, `${resolve(to)}.new`],
    ]);
    renameSync(`${to}.new`, to);
  } finally {
    rmSync(root, { recursive: true });
  }
}

// --- internal ---

const PLACES = {
  zsh: "usr/share/zsh/vendor-completions",
  notice: `usr/share/doc/${about.name}/copyright`,
};

const control = (arch: Arch, kibibytes: number): string => `Package: ${about.name}
Version: ${about.version}
Architecture: ${ARCHES[arch].debian}
Maintainer: ${about.name} maintainers
Installed-Size: ${kibibytes}
Depends: libc6 (>= ${about.glibc})
Section: admin
Priority: optional
Description: ${about.description}
`;

function md5sums(root: string, files: readonly Packaged[]): string {
  const sum = (path: string): string =>
    new Bun.CryptoHasher("md5").update(readFileSync(join(root, path))).digest("hex");
  return files.map(({ path }) => `${sum(path)}  ${path}\n`).join("");
}
