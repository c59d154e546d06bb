/** The bytes of one section of a 64-bit little-endian ELF file, or null. */
export function elfSection(file: Uint8Array, name: string): Uint8Array | null {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  const headers = u64(0x28);
  const headerSize = view.getUint16(0x3a, true);
  const count = view.getUint16(0x3c, true);
  const section = (n: number): { name: number; at: number; size: number } => {
    const at = headers + n * headerSize;
    return { name: view.getUint32(at, true), at: u64(at + 0x18), size: u64(at + 0x20) };
  };
  const names = section(view.getUint16(0x3e, true));
  const wanted = Buffer.from(`${name}\0`);
  for (let n = 0; n < count; n++) {
    const { name: nameAt, at, size } = section(n);
    const from = names.at + nameAt;
    if (wanted.equals(file.subarray(from, from + wanted.length)))
      return file.subarray(at, at + size);
  }
  return null;
}
