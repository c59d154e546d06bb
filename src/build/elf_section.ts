import { BuildError } from "./step.ts";

/** The bytes of one section of a 64-bit little-endian ELF file, or null. Throws a BuildError for what is no such file. */
export function elfSection(file: Uint8Array, name: string): Uint8Array | null {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const within = (at: number, size: number): number => {
    if (at + size <= file.length) return at;
    throw new BuildError(
      `not ELF, or cut off: it has ${file.length} bytes, ${at + size} are needed`,
    );
  };
  const u16 = (at: number): number => view.getUint16(within(at, 2), true);
  const u32 = (at: number): number => view.getUint32(within(at, 4), true);
  const u64 = (at: number): number => Number(view.getBigUint64(within(at, 8), true));
  const headers = u64(0x28);
  const headerSize = u16(0x3a);
  const count = u16(0x3c);
  const section = (n: number): { name: number; at: number; size: number } => {
    const at = headers + n * headerSize;
    return { name: u32(at), at: u64(at + 0x18), size: u64(at + 0x20) };
  };
  const names = section(u16(0x3e));
  const wanted = Buffer.from(`${name}\0`);
  for (let n = 0; n < count; n++) {
    const { name: nameAt, at, size } = section(n);
    const from = names.at + nameAt;
    if (wanted.equals(file.subarray(from, from + wanted.length)))
      return file.subarray(within(at, size), at + size);
  }
  return null;
}
