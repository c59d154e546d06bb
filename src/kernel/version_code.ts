/**
 * LINUX_VERSION_CODE as the running kernel was compiled with: before 5.0 a kprobe program must carry it, and uname's
 * release does not tell it (Debian's 4.9.0-19 is 4.9.320). The vDSO that every process gets holds it as an ELF note.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** null: no vDSO (vdso=0), or none with the note. */
export function kernelVersionCode(): number | null {
  try {
    const range = /^([0-9a-f]+)-([0-9a-f]+) .*\[vdso\]$/m.exec(
      readFileSync("/proc/self/maps", "utf8"),
    );
    if (!range) return null;
    const [from, to] = [BigInt(`0x${range[1]}`), BigInt(`0x${range[2]}`)];
    const image = new Uint8Array(Number(to - from));
    const memory = openSync("/proc/self/mem", "r");
    try {
      readSync(memory, image, 0, image.length, from);
    } finally {
      closeSync(memory);
    }
    return versionNote(image);
  } catch {
    return null;
  }
}

const PT_NOTE = 4;
const NT_VERSION = 0;

/** The note named "Linux" of type 0 in an ELF64 image; its content is the version code. Pure. */
export function versionNote(image: Uint8Array): number | null {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (image.length < 64 || view.getUint32(0) !== 0x7f454c46) return null;
  const [phoff, phentsize, phnum] = [32, 54, 56].map((at) => view.getUint16(at, true));
  for (let n = 0; n < phnum!; n++) {
    const header = phoff! + n * phentsize!;
    if (header + 56 > image.length || view.getUint32(header, true) !== PT_NOTE) continue;
    const from = Number(view.getBigUint64(header + 8, true));
    const size = Number(view.getBigUint64(header + 32, true));
    const found = noteIn(view, from, Math.min(from + size, image.length));
    if (found !== null) return found;
  }
  return null;
}

// --- internal ---

function noteIn(view: DataView, from: number, to: number): number | null {
  for (let at = from; at + 12 <= to;) {
    const nameSize = view.getUint32(at, true);
    const contentSize = view.getUint32(at + 4, true);
    const content = at + 12 + align4(nameSize);
    if (content + contentSize > to) return null;
    const linux = nameSize === 6 && view.getUint32(at + 12) === 0x4c696e75; // "Linu"
    if (linux && view.getUint32(at + 8, true) === NT_VERSION && contentSize === 4) {
      return view.getUint32(content, true);
    }
    at = content + align4(contentSize);
  }
  return null;
}

/** Not by a mask: sizes up to 2^32 would come out negative. */
const align4 = (size: number): number => Math.ceil(size / 4) * 4;
