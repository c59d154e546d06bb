/** Patches constants into a BPF ELF image in memory, before libbpf sees it. Pure. */

/** High word of a placeholder; the low word is the constant's number. See bpf/offsets.h. */
const MAGIC_HIGH = 0x7ef5a5a5;
const LD_IMM64 = 0x18;

/**
 * Returns a copy of `image` in which each placeholder n holds `values.get(n)`, a u64.
 * A placeholder is an ld_imm64 instruction (16 bytes, 8-aligned in the file): opcode and registers, then imm low in
 * bytes 4..7 and imm high in bytes 12..15. A placeholder without a value is an error: it would be a wild offset.
 */
export function patchConstants(image: Uint8Array, values: ReadonlyMap<number, bigint>): Uint8Array {
  const patched = new Uint8Array(image); // slice() of a Buffer would share its memory
  const view = new DataView(patched.buffer);
  for (let at = 0; at + 16 <= patched.length; at += 8) {
    if (patched[at] !== LD_IMM64 || view.getUint32(at + 12, true) !== MAGIC_HIGH) continue;
    const id = view.getUint32(at + 4, true);
    const value = values.get(id);
    if (value === undefined) throw new RangeError(`no value for the constant ${id} at byte ${at}`);
    view.setUint32(at + 4, Number(value & 0xffff_ffffn), true);
    view.setUint32(at + 12, Number(value >> 32n), true);
  }
  return patched;
}
