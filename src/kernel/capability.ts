/** Sets of capabilities. Pure. */

/** Bit N stands for capability N of <linux/capability.h>. */
export type Capabilities = bigint;

/** The set of these, which are CAP_* of constants.ts. */
export const capability = (...numbers: number[]): Capabilities =>
  numbers.reduce((set, number) => set | (1n << BigInt(number)), 0n);

export const hasCapability = (set: Capabilities, number: number): boolean =>
  (set & capability(number)) !== 0n;
