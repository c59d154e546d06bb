/** Downloads that outlive a checkout. */
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** A directory of its own for `part`, created if it is not there. */
export function cacheDirectory(part: string): string {
  const root = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const path = join(root, "tracer-bpf", part);
  mkdirSync(path, { recursive: true });
  return path;
}
