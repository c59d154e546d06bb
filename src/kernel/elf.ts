/** Patches constants into a BPF ELF image in memory, before libbpf sees it. Pure. */

import { Placeholder } from "../record/layout.gen.ts";

/** The high word of a placeholder, behind which stands the number of the constant, or of the helper without arguments. */
const { OFFSET_MAGIC, HELPER_MAGIC } = Placeholder;
const LD_IMM64 = 0x18;
/** `call` of a helper, and a jump to the next instruction. */
const CALL = 0x85;
const JUMP = 0x05;

/**
 * Returns a copy of `image` in which each placeholder n holds `values.get(n)`, a u64.
 * A placeholder is an ld_imm64 instruction (16 bytes, 8-aligned in the file): opcode and registers, then imm low in
 * bytes 4..7 and imm high in bytes 12..15. A placeholder without a value is an error: it would be a wild offset.
 */
export function patchConstants(image: Uint8Array, values: ReadonlyMap<number, bigint>): Uint8Array {
  const patched = new Uint8Array(image); // slice() of a Buffer would share its memory
  const view = new DataView(patched.buffer);
  for (let at = 0; at + 16 <= patched.length; at += 8) {
    if (patched[at] !== LD_IMM64 || view.getUint32(at + 12, true) !== OFFSET_MAGIC) continue;
    const id = view.getUint32(at + 4, true);
    const value = values.get(id);
    if (value === undefined) throw new RangeError(`no value for the constant ${id} at byte ${at}`);
    view.setUint32(at + 4, Number(value & 0xffff_ffffn), true);
    view.setUint32(at + 12, Number(value >> 32n), true);
  }
  return patched;
}

/**
 * Puts into each placeholder of a helper, in place, the call if `has` holds the helper's number, else the constant 0.
 * Either takes as many bytes, so that nothing else moves.
 */
export function patchHelpers(image: Uint8Array, has: ReadonlySet<number>): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  for (let at = 0; at + 16 <= image.length; at += 8) {
    if (image[at] !== LD_IMM64 || view.getUint32(at + 12, true) !== HELPER_MAGIC) continue;
    const helper = view.getUint32(at + 4, true);
    const called = has.has(helper);
    // Opcode and registers, then the number, for each half.
    view.setUint32(at, called ? CALL : LD_IMM64, true);
    view.setUint32(at + 4, called ? helper : 0, true);
    view.setUint32(at + 8, called ? JUMP : 0, true);
    view.setUint32(at + 12, 0, true);
  }
}
