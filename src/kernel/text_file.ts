/** Small text files of the kernel. */
import { readFileSync } from "node:fs";

/** null: not there, or not for us to read. */
export function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
