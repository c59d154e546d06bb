/** The Bun that an executable is made of. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { HOST, TARGETS, type Target } from "./arch.ts";
import { cacheDirectory } from "./cache.ts";
import { BuildError, run, say } from "./step.ts";

/** This process is the host's; any other comes from npm's registry, wherever that is. */
export function bunRuntime(target: Target): string {
  if (target === HOST) return process.execPath;
  const file = join(cacheDirectory("bun"), `${target}-${Bun.version}`);
  if (!existsSync(file)) fetchRuntime(target, file);
  return file;
}

function fetchRuntime(target: Target, file: string): void {
  const packageName = `@oven/bun-${TARGETS[target].bun}`;
  const name = `${packageName}@${Bun.version}`;
  say(`fetching bun ${target}`, `${name}, 40 MB, with npm`);
  const work = mkdtempSync(`${file}.`);
  try {
    run(["npm", "pack", "--silent", "--ignore-scripts", name], { cwd: work });
    const packed = readdirSync(work)[0];
    if (packed === undefined) throw new BuildError(`npm pack ${name} left no file`);
    checkIntegrity(packageName, join(work, packed));
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
