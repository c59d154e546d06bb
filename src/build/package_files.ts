/** The files of a .deb and a .rpm: one list for both. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { description, license, name, version } from "../../package.json";

/** Paths, and what is not in a file. */
export interface PackageSources {
  executable: string;
  notice: string;
  unit: string;
  /** The text that the executable prints, given these arguments. */
  printed(...args: string[]): string;
  /** Seconds since 1970 of all files. */
  epoch: number;
}

export interface Packaged {
  path: string;
  mode: number;
  /** The file to copy, or the content. */
  from: string | Uint8Array;
}

/** The places that differ between the two kinds. */
export interface Places {
  zsh: string;
  notice: string;
}

export const about = {
  name,
  version,
  license,
  description,
  /** The oldest glibc that the executables take. */
  glibc: "2.17",
  unit: `${name}.service`,
} as const;

/** To add a file to the packages, add a row. */
export function packageFiles(sources: PackageSources, places: Places): Packaged[] {
  const { printed } = sources;
  const unit = readFileSync(sources.unit, "utf8").replaceAll("/usr/local/bin/", "/usr/bin/");
  const page = Bun.gzipSync(Buffer.from(printed("man")), { level: 9 });
  const text = (path: string, from: string | Uint8Array): Packaged => ({ path, mode: 0o644, from });
  const completions = (shell: string): Uint8Array => Buffer.from(printed("completions", shell));
  return [
    { path: `usr/bin/${name}`, mode: 0o755, from: sources.executable },
    text(`usr/lib/systemd/system/${about.unit}`, Buffer.from(unit)),
    text(`usr/share/man/man8/${name}.8.gz`, page),
    text(`usr/share/bash-completion/completions/${name}`, completions("bash")),
    text(`${places.zsh}/_${name}`, completions("zsh")),
    text(`usr/share/fish/vendor_completions.d/${name}.fish`, completions("fish")),
    text(places.notice, sources.notice),
  ];
}

/** Writes them below `root`, directories with mode 0755 whatever the umask is. */
export function writePackaged(root: string, files: readonly Packaged[]): void {
  for (const { path, mode, from } of files) {
    const to = join(root, path);
    for (const directory of directoriesOf(path)) {
      mkdirSync(join(root, directory), { recursive: true });
      chmodSync(join(root, directory), 0o755);
    }
    if (typeof from === "string") copyFileSync(from, to);
    else writeFileSync(to, from);
    chmodSync(to, mode);
  }
}

// --- internal ---

/** From the top down. */
function directoriesOf(path: string): string[] {
  const directory = dirname(path);
  return directory === "." ? ["."] : [...directoriesOf(directory), directory];
}
