/** The state of Linux 4.4's verifier at one point of a path, and its rule for two points that are equal. */
import type { BpfMap } from "./bpf_instruction.ts";

export const STACK_SIZE = 512;

export type Value =
  | { kind: "uninitialised" | "number" | "context" | "frame" }
  /** A mov of an immediate. Only this: an ld_imm64 is just a number, and so is every sum. */
  | { kind: "constant"; value: number }
  /** r10 plus a constant. */
  | { kind: "stack"; offset: number }
  | { kind: "map" | "value or null" | "value"; map: BpfMap };

export const UNINITIALISED: Value = { kind: "uninitialised" };
export const NUMBER: Value = { kind: "number" };

/** Types of stack bytes. A byte of a spilled pointer counts as data nowhere. */
export const BYTE = { unwritten: 0, data: 1, spilled: 2 } as const;

export interface State {
  /** The next instruction. */
  at: number;
  registers: Value[];
  /** Index 0 is r10 - 512. */
  bytes: Uint8Array;
  /** One per 8 bytes; meaningful where `bytes` says spilled. */
  spilled: Value[];
}

export function firstState(): State {
  const registers = Array<Value>(11).fill(UNINITIALISED);
  registers[1] = { kind: "context" };
  registers[10] = { kind: "frame" };
  const spilled = Array<Value>(STACK_SIZE / 8).fill(UNINITIALISED);
  return { at: 0, registers, bytes: new Uint8Array(STACK_SIZE), spilled };
}

export const copyOf = ({ at, registers, bytes, spilled }: State): State => ({
  at,
  registers: [...registers],
  bytes: bytes.slice(),
  spilled: [...spilled],
});

export const isPointer = ({ kind }: Value): boolean =>
  kind !== "uninitialised" && kind !== "number" && kind !== "constant";

/** Whether what was proven from `old` on holds from `state` on: `old` knew the same or less. */
export function covers(old: State, state: State): boolean {
  for (const [n, before] of old.registers.entries()) {
    const now = state.registers[n]!;
    if (before.kind === "uninitialised" || sameValue(before, now)) continue;
    if (before.kind !== "number" || now.kind === "uninitialised") return false;
  }
  // No iterator: this loop is most of the time of a large program.
  for (let n = 0; n < STACK_SIZE; n++) {
    const byte = old.bytes[n]!;
    if (byte === BYTE.unwritten) continue;
    if (byte !== state.bytes[n]) return false;
    if (n % 8 === 0 && !sameValue(old.spilled[n / 8]!, state.spilled[n / 8]!)) return false;
  }
  return true;
}

function sameValue(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind) return false;
  if (a.kind === "constant") return a.value === (b as typeof a).value;
  if (a.kind === "stack") return a.offset === (b as typeof a).offset;
  return !("map" in a) || a.map === (b as typeof a).map;
}

/** Offsets are from r10 and lie inside the stack. `value` is null for what is no register's value. */
export function writeStack(state: State, offset: number, size: number, value: Value | null): void {
  const from = STACK_SIZE + offset;
  const spill = value !== null && isPointer(value) && size === 8;
  state.spilled[from >> 3] = spill ? value : UNINITIALISED;
  state.bytes.fill(spill ? BYTE.spilled : BYTE.data, from, from + size);
}

/** null: these bytes cannot be read like this. */
export function readStack(state: State, offset: number, size: number): Value | null {
  const from = STACK_SIZE + offset;
  const bytes = state.bytes.subarray(from, from + size);
  if (bytes.every((byte) => byte === BYTE.data)) return NUMBER;
  const whole = size === 8 && bytes.every((byte) => byte === BYTE.spilled);
  return whole ? state.spilled[from >> 3]! : null;
}

/** The first byte that is not data, as offset from r10, or null. */
export function gapIn(state: State, offset: number, size: number): number | null {
  const gap = state.bytes
    .subarray(STACK_SIZE + offset, STACK_SIZE + offset + size)
    .findIndex((byte) => byte !== BYTE.data);
  return gap === -1 ? null : offset + gap;
}
