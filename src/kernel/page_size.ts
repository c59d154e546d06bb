/** The size of a page of memory: arm64 has several. */
import { readFileSync } from "node:fs";

/** Bytes. Of a host that does not tell: 4,096. */
export function pageSize(): number {
  try {
    const words = new BigUint64Array(new Uint8Array(readFileSync("/proc/self/auxv")).buffer);
    for (let at = 0; at + 1 < words.length; at += 2)
      if (words[at] === AT_PAGESZ) return Number(words[at + 1]!);
  } catch {
    // /proc may be mounted so that it hides this.
  }
  return USUAL_BYTES;
}

// --- internal ---

/** Of <elf.h>. */
const AT_PAGESZ = 6n;
const USUAL_BYTES = 4096;
