/** Shared by all searches: the pass over the copies, the fields placed already, and the verdict. Pure. */
import type { SockField } from "./fields.ts";
import type { FieldReport } from "./report.ts";
import type { SockSample } from "./snapshot.ts";

/** The bytes of a struct that are already a known field's. */
export class Placed {
  readonly #ranges: [number, number][] = [];

  add(offset: number, width: number): void {
    this.#ranges.push([offset, offset + width]);
  }

  overlaps(offset: number, width: number): boolean {
    return this.#ranges.some(([from, to]) => offset < to && offset + width > from);
  }
}

export interface Known {
  bytes: Uint8Array;
  expected: number | bigint | Uint8Array;
}

/** The samples in which the field's value is known. */
export function knownOf(field: SockField, samples: SockSample[]): Known[] {
  return samples.flatMap(({ bytes, truth }) => {
    const expected = field.expect(truth);
    return expected === undefined ? [] : [{ bytes, expected }];
  });
}

/** All offsets at which every sample that knows the field's value holds it. */
export function candidatesFor(field: SockField, samples: SockSample[], placed: Placed): number[] {
  const known = knownOf(field, samples);
  // A value that is not 0 leaves few offsets for the others to confirm.
  const at = Math.max(
    0,
    known.findIndex(({ expected }) => expected !== 0 && expected !== 0n),
  );
  const [first] = known.splice(at, 1);
  if (!first) return [];
  return nearest([NEAR_BYTES, first.bytes.length], (end) =>
    offsetsIn(field, first, end).filter(
      (offset) =>
        !placed.overlaps(offset, field.width) && known.every((k) => holds(field, k, offset)),
    ),
  );
}

/**
 * A struct tcp_sock is shorter; behind it lies another sock, often the peer's, which holds the same values. Only with
 * lockdep, where each lock takes 72 bytes rather than 4, it may be longer.
 */
export const NEAR_BYTES = 4096;

/** The finds of `search` below the first of `ends` below which it finds anything. */
export function nearest<T>(ends: readonly number[], search: (end: number) => T[]): T[] {
  let found: T[] = [];
  for (const end of ends) if ((found = search(end)).length > 0) break;
  return found;
}

/**
 * Where the fields of struct sock end, without the protocol's own: on usual kernels and, with debugging, lockdep above
 * all, on others. The second is tried where the first leaves nothing.
 */
export const SOCK_ENDS = [1024, 2048, 3072] as const;

/** `candidates` to a verdict: one is found; several are, only if the field says which. */
export function judge(
  field: string,
  struct: string,
  candidates: number[],
  lowest: string | undefined,
  how: string,
): FieldReport {
  const report = { field, struct, candidates };
  if (candidates.length === 0) {
    return { ...report, status: "failed", offset: null, how: "no offset holds the known values" };
  }
  if (candidates.length === 1) return { ...report, status: "found", offset: candidates[0]!, how };
  if (lowest === undefined) {
    return {
      ...report,
      status: "ambiguous",
      offset: null,
      how: "several offsets hold the known values",
    };
  }
  return { ...report, status: "found", offset: candidates[0]!, how: `${how}; ${lowest}` };
}

export const without = (
  field: string,
  struct: string,
  status: FieldReport["status"],
  how: string,
): FieldReport => ({ field, struct, status, offset: null, candidates: [], how });

const views = new WeakMap<Uint8Array, DataView>();

/** Made once per buffer: a search reads it some thousand times. */
export function viewOf(bytes: Uint8Array): DataView {
  let view = views.get(bytes);
  if (!view) {
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    views.set(bytes, view);
  }
  return view;
}

/** All offsets, `step` bytes apart, that hold in every sample and have `width` bytes in each. */
export function offsetsWhere<S extends object>(
  samples: readonly S[],
  bytesOf: (sample: S) => Uint8Array,
  { step, width = step }: { step: number; width?: number },
  holds: (sample: S, at: number) => boolean,
): number[] {
  if (samples.length === 0) return [];
  const shortest = Math.min(...samples.map((sample) => bytesOf(sample).length));
  const found: number[] = [];
  for (let at = 0; at + width <= shortest; at += step)
    if (samples.every((sample) => holds(sample, at))) found.push(at);
  return found;
}

// --- internal ---

/** The search proper: one pass over one sample. */
function offsetsIn(field: SockField, { bytes, expected }: Known, below: number): number[] {
  const step = field.width === 16 ? 4 : field.width;
  const end = Math.min(field.below ?? Infinity, below, bytes.length) - field.width;
  const offsets: number[] = [];
  const view = viewOf(bytes);
  const { shift = 0 } = field;
  if (field.width === 4 && typeof expected === "number") {
    for (let at = 0; at <= end; at += 4) {
      if (view.getUint32(at, true) >>> shift === expected) offsets.push(at);
    }
    return offsets;
  }
  for (let at = 0; at <= end; at += step) {
    if (holds(field, { bytes, expected }, at)) offsets.push(at);
  }
  return offsets;
}

/** Numbers are little endian, as both architectures are. */
function holds(field: SockField, { bytes, expected }: Known, at: number): boolean {
  if (at + field.width > bytes.length) return false;
  if (expected instanceof Uint8Array) {
    for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
    return true;
  }
  const view = viewOf(bytes);
  if (field.width === 8) {
    // The low word first: BigInts are slow, and most offsets fail there.
    const low = view.getUint32(at, true);
    if (field.mask === undefined && low !== Number(BigInt.asUintN(32, BigInt(expected))))
      return false;
    const value = view.getBigUint64(at, true);
    return (field.mask === undefined ? value : value & field.mask) === BigInt(expected);
  }
  const value =
    field.width === 4
      ? view.getUint32(at, true)
      : field.width === 2
        ? view.getUint16(at, true)
        : view.getUint8(at);
  return value >>> (field.shift ?? 0) === expected;
}
