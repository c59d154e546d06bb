/** The package of Red Hat's and SUSE's distributions of an executable, by `rpmbuild`, which Debian has too. */
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ARCHES, type Arch } from "./arch.ts";
import { about, packageFiles, writePackaged, type PackageSources } from "./package_files.ts";
import { rpmScripts } from "./package_scripts.ts";
import { run } from "./step.ts";

const RELEASE_OF_VERSION = "1";

export const rpmName = (arch: Arch): string =>
  `${about.name}-${about.version}-${RELEASE_OF_VERSION}.${ARCHES[arch].rpm}.rpm`;

/** The same sources give the same bytes. */
export function writeRpm(arch: Arch, sources: PackageSources, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  // Not beside the package: rpmbuild cannot work in a directory whose name has a blank.
  const work = mkdtempSync(join(tmpdir(), "tracer-bpf-rpm-"));
  try {
    const files = packageFiles(sources, PLACES);
    writePackaged(join(work, "files"), files);
    writeFileSync(
      join(work, "package.spec"),
      spec(
        join(work, "files"),
        files.map(({ path }) => path),
      ),
    );
    run([
      // Nobody's own settings: no ~/.rpmmacros.
      ...["env", `SOURCE_DATE_EPOCH=${sources.epoch}`, `HOME=${work}`],
      ...["rpmbuild", "-bb", "--quiet", "--target", `${ARCHES[arch].rpm}-unknown-linux`],
      ...Object.entries(macros(work)).flatMap(([macro, value]) => [
        "--define",
        `${macro} ${value}`,
      ]),
      join(work, "package.spec"),
    ]);
    copyFileSync(join(work, "RPMS", rpmName(arch)), `${to}.new`);
    renameSync(`${to}.new`, to);
  } finally {
    rmSync(work, { recursive: true });
  }
}

// --- internal ---

const PLACES = {
  zsh: "usr/share/zsh/site-functions",
  notice: `usr/share/licenses/${about.name}/NOTICE`,
};

const macros = (work: string): Record<string, string> => ({
  _topdir: work,
  _rpmdir: join(work, "RPMS"),
  _rpmfilename: "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
  _buildhost: "localhost",
  use_source_date_epoch_as_buildtime: "1",
  clamp_mtime_to_source_date_epoch: "1",
  // RHEL 7 cannot read zstd.
  _binary_payload: "w6.xzdio",
  // Bun's program lies behind its sections: nothing is stripped, nothing taken out of the executable.
  __os_install_post: "%{nil}",
  debug_package: "%{nil}",
  _build_id_links: "none",
});

const spec = (from: string, paths: readonly string[]): string => `Name: ${about.name}
Version: ${about.version}
Release: ${RELEASE_OF_VERSION}
Summary: ${about.description}
License: ${about.license}
AutoReqProv: no
Requires: libc.so.6(GLIBC_${about.glibc})(64bit)

%description
${about.description}.

%install
mkdir -p %{buildroot}
cp -a "${from}/." %{buildroot}/

${Object.entries(rpmScripts)
  .map(([section, text]) => `%${section}\n${text}`)
  .join("\n")}
%files
%defattr(-,root,root,-)
${paths.map((path) => `${path === PLACES.notice ? "%license " : ""}/${path}\n`).join("")}`;
