/** The result of a guess, as it is printed, saved, loaded and compared. Pure types. */

export type FieldStatus = "found" | "not-applicable" | "ambiguous" | "failed" | "kprobe-only";

export interface FieldReport {
  /** The kernel's own name, for instance `skc_dport`. */
  field: string;
  /** The struct it is in, for instance `sock_common`. */
  struct: string;
  status: FieldStatus;
  /** In bytes; a number exactly when the field was found. */
  offset: number | null;
  /** The offsets that survived the search, the lowest first. */
  candidates: number[];
  /** In words: how the offset was found, or why it was not. */
  how: string;
}

/** The running kernel, as uname(2) tells it. `version` holds the build number and date. */
export interface Kernel {
  release: string;
  version: string;
  machine: string;
}

export interface GuessReport {
  kernel: Kernel;
  attach: "kprobe" | "tracepoint";
  ms: number;
  fields: FieldReport[];
}

export interface VerifyRow {
  field: string;
  guessed: number | null;
  /** The offset in the kernel's own type information; `null` when that does not know the field. */
  btf: number | null;
  equal: boolean;
}

export interface VerifyReport {
  rows: VerifyRow[];
}

const NOT_THERE = "not there: ";
/** How a field was not found that these versions of the kernel do not have. */
export const notThere = (versions: string): string => NOT_THERE + versions;
/** Whether this kernel does not have the field: docs/kernels.md says what is unknown there. */
export const isNotThere = ({ how }: FieldReport): boolean => how.startsWith(NOT_THERE);
