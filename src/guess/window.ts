/** Where the chunks of a snapshot lie; bpf/guess.bpf.c has the same numbers. */

export const CHUNK = 256;
export const WINDOW_CHUNKS = 67;

export const WINDOW_SOCK = 0;
export const SOCK_CHUNKS = 16;
export const PEEK_CHUNKS = 4;
/** Behind register argument n (1 is the first): chunk WINDOW_ARGS + n - 1. */
export const WINDOW_ARGS = 18;
/** Behind the n-th word on the stack. */
export const WINDOW_STACKED = 26;
export const WINDOW_SKB = 34;
/** Behind the n-th 8-byte word of the sk_buff. */
export const WINDOW_BEHIND = 35;

/** Which of the calls inside a send is to be copied. */
export const ARMED_CALL = 1;
export const ARMED_SKB = 2;
export const ARMED_TASK = 3;

export const ASK_SOCK = 1;
export const ASK_PEEK = 2;

/** Argument registers of the architecture: from the next argument on, the stack. */
export const REGISTER_ARGUMENTS = process.arch === "arm64" ? 8 : 6;

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
