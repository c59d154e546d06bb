/** Where kernel memory lies, and what the architecture passes in registers. */
import { GuessRegisters } from "../record/layout.gen.ts";

/** Argument registers of the architecture: from the next argument on, the stack. */
export const REGISTER_ARGUMENTS =
  process.arch === "arm64" ? GuessRegisters.REGISTERS_ARM64 : GuessRegisters.REGISTERS_X64;

/**
 * The lowest address of kernel memory, told from a known one. Below it lie words that are no addresses: on x86 with
 * four-level page tables the kernel begins at 0xffff8000..., with five at 0xff00...; on arm64 with 48-bit addresses
 * at 0xffff0000..., with 52 at 0xfff0....
 */
export function kernelFloor(known: bigint): bigint {
  const wide = known >> 48n !== 0xffffn;
  if (process.arch === "arm64") return wide ? 0xfff0_0000_0000_0000n : 0xffff_0000_0000_0000n;
  return wide ? 0xff00_0000_0000_0000n : 0xffff_8000_0000_0000n;
}

/** Above it lie error pointers and small negative numbers. */
export const KERNEL_CEILING = 0xffff_ffff_ffff_f000n;
