/** The names of the kernel's types, without the types: a third of a file of megabytes. */
import { closeSync, openSync, readSync } from "node:fs";

const KERNEL = "/sys/kernel/btf/vmlinux";

/** Whether these are among the names; false also where the kernel has no BTF. A few milliseconds. */
export function namesInBtf(names: readonly string[], file = KERNEL): boolean {
  const left = new Set(names);
  let fd: number | null = null;
  try {
    fd = openSync(file, "r");
    const { at, end } = stringsOf(fd);
    eachPiece(fd, at, end, (piece) => {
      for (const name of left) if (piece.includes(`\0${name}\0`)) left.delete(name);
      return left.size > 0;
    });
  } catch {
    return false;
  } finally {
    if (fd !== null) closeSync(fd);
  }
  return left.size === 0;
}

// --- internal ---

/** struct btf_header, by ABI: u16 magic, u8 version, u8 flags, u32 hdr_len, then where types and strings lie behind it. */
const HEADER_BYTES = 24;
const MAGIC = 0xeb9f;

function stringsOf(fd: number): { at: number; end: number } {
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(fd, header, 0, HEADER_BYTES, 0) < HEADER_BYTES || header.readUInt16LE(0) !== MAGIC)
    throw new RangeError("no BTF");
  const at = header.readUInt32LE(4) + header.readUInt32LE(16);
  return { at, end: at + header.readUInt32LE(20) };
}

/** The kernel gives a page per read. */
const PIECE_BYTES = 1 << 16;
const LEAST_ROOM = 1 << 12;

/** Pieces that end with a whole name and begin with the byte before one, until `look` returns false. */
function eachPiece(fd: number, at: number, end: number, look: (piece: Buffer) => boolean): void {
  const piece = Buffer.alloc(PIECE_BYTES);
  let used = 0;
  while (at < end) {
    const bytes = readSync(fd, piece, used, Math.min(piece.length - used, end - at), at);
    at += bytes;
    used += bytes;
    if (bytes > 0 && at < end && piece.length - used >= LEAST_ROOM) continue;
    const last = piece.lastIndexOf(0, used - 1);
    // No name is as long as a piece.
    if (bytes === 0 || last <= 0 || !look(piece.subarray(0, last + 1))) return;
    used = piece.copy(piece, 0, last, used);
  }
}
