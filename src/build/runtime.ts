/** The Bun that an executable is made of. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ARCHES, HOST, type Arch } from "./arch.ts";
import { cacheDirectory } from "./cache.ts";
import { BuildError, run, say } from "./step.ts";

/** This process is the host's; another machine's comes from npm's registry, wherever that is. */
export function bunRuntime(arch: Arch): string {
  if (arch === HOST) return process.execPath;
  const name = `${ARCHES[arch].bunPackage}@${Bun.version}`;
  const file = join(cacheDirectory("bun"), `${arch}-${Bun.version}`);
  if (!existsSync(file)) fetchRuntime(arch, name, file);
  return file;
}

function fetchRuntime(arch: Arch, name: string, file: string): void {
  say(`fetching bun ${arch}`, `${name}, 40 MB, with npm`);
  const work = mkdtempSync(`${file}.`);
  try {
    run(["npm", "pack", "--silent", "--ignore-scripts", name], { cwd: work });
    const packed = readdirSync(work)[0];
    if (packed === undefined) throw new BuildError(`npm pack ${name} left no file`);
    checkIntegrity(ARCHES[arch].bunPackage, join(work, packed));
    run(["tar", "-xzf", packed, "package/bin/bun"], { cwd: work });
    renameSync(join(work, "package/bin/bun"), file);
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** The lock file knows the package although npm does not install it here. */
function checkIntegrity(packageName: string, file: string): void {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
    packages: Record<string, { integrity?: string }>;
  };
  const expected = lock.packages[`node_modules/${packageName}`]?.integrity;
  const hash = new Bun.CryptoHasher("sha512").update(readFileSync(file)).digest("base64");
  if (expected !== `sha512-${hash}`)
    throw new BuildError(`${packageName}: the download is not the one package-lock.json names`);
}
