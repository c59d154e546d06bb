/** Patches constants into a BPF ELF image in memory, before libbpf sees it. Pure. */

import { Placeholder } from "../record/layout.gen.ts";

/** The high word of a placeholder, behind which stands the number of the constant, or of the helper without arguments. */
const { OFFSET_MAGIC, HELPER_MAGIC, CAST_MAGIC, TYPE_MAGIC } = Placeholder;
const LD_IMM64 = 0x18;
/** `call` of a helper, and a jump to the next instruction. */
const CALL = 0x85;
const JUMP = 0x05;
/** BPF_PSEUDO_KFUNC_CALL, as a call's source register: the number is the id of a function of the kernel. */
const KERNEL_FUNCTION = 2 << 4;
const MOVE_CONSTANT = 0xb7;

/** Ids in the kernel's BTF, by which programs load its memory: see read_kernel() in bpf/lib/kernel.h. */
export interface PlainLoads {
  /** Of bpf_rdonly_cast(). */
  cast: number;
  /** Of struct pt_regs. */
  words: number;
  /** Where struct mptcp_sock has its first subflow; 0: not known. */
  firstSubflow: number;
}

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

/** Puts the ids, in place, into each call of the cast and into the constant that each of them is given. */
export function patchLoads(image: Uint8Array, { cast, words }: PlainLoads): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  for (let at = 0; at + 8 <= image.length; at += 8) {
    const opcode = image[at];
    if (opcode === CALL && view.getUint32(at + 4, true) === CAST_MAGIC) {
      image[at + 1] = KERNEL_FUNCTION;
      view.setUint32(at + 4, cast, true);
    } else if (opcode === MOVE_CONSTANT && view.getUint32(at + 4, true) === TYPE_MAGIC) {
      view.setUint32(at + 4, words, true);
    }
  }
}
