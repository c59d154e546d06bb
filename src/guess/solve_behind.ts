/** Fields two levels deep: a pointer in the sock, and a known value behind it. Pure. */
import { SOCK_COMMON } from "./fields.ts";
import { judge, nearest, SOCK_ENDS, without, viewOf, type Placed } from "./search.ts";
import type { FieldReport } from "./report.ts";
import type { SockSample } from "./snapshot.ts";

interface Pair {
  pointer: number;
  inner: number;
}

interface PairRule {
  /** The pointer's field and the field behind it. */
  pointer: [field: string, struct: string];
  inner: [field: string, struct: string];
  width: 4 | 8;
  expect: (sample: SockSample) => bigint;
  /** The pointer stands below one of these offsets of the sock: the next is tried where one leaves nothing. */
  pointerBelow: readonly number[];
  /** The field behind it stands in this range. */
  innerFrom?: number;
  innerBelow: number;
  /** Why the lowest pair is the right one. */
  lowest?: string;
  /** Why this kernel has neither; null: it has. */
  absent?: (sample: SockSample) => string | null;
}

/** No struct net is as long. */
export const NET_BYTES = 8192;

/** Before `sk` struct socket has its state, type, flags and two pointers at most, and no lock that debugging makes longer. */
const SOCKET_SK_BELOW = 64;

// To add a field behind a pointer: a row here, its name in enum offset.
const rules: PairRule[] = [
  {
    pointer: ["skc_net", "sock_common"],
    inner: ["net_ns_inum", "net"],
    width: 4,
    expect: (s) => BigInt(s.truth.netns),
    pointerBelow: [SOCK_COMMON],
    innerBelow: NET_BYTES,
    absent: (s) => (s.truth.netns === 0 ? "no network namespaces in this kernel" : null),
  },
  {
    pointer: ["sk_socket", "sock"],
    inner: ["socket_sk", "socket"],
    width: 8,
    expect: (s) => s.sk,
    pointerBelow: SOCK_ENDS,
    innerBelow: SOCKET_SK_BELOW,
  },
];

export function solveBehind(samples: SockSample[], placed: Placed): FieldReport[] {
  const peeked = samples.filter((sample) => sample.behind.length > 0);
  const reports = rules.flatMap((rule) => solvePair(rule, peeked, placed));
  const socket = reports.find((r) => r.field === "sk_socket")?.offset ?? null;
  return [...reports, solveSocketIno(socket, peeked)];
}

/**
 * Whether these bytes can be those of the struct socket that belongs to `sk`: it begins with its state, and points back. A
 * sk_buff in one of the sock's queues points back as well, but begins with a pointer: on 6.1 with lockdep the search ended at it.
 */
export function leadsBack(bytes: Uint8Array, sk: bigint): boolean {
  const view = viewOf(bytes);
  if (bytes.length < 8 || isKernelAddress(view.getBigUint64(0, true))) return false;
  for (let at = 0; at + 8 <= Math.min(SOCKET_SK_BELOW, bytes.length); at += 8)
    if (view.getBigUint64(at, true) === sk) return true;
  return false;
}

// --- internal ---

/** On every 64-bit machine it has the highest bit. */
const isKernelAddress = (word: bigint): boolean => word >> 63n === 1n;

function solvePair(rule: PairRule, samples: SockSample[], placed: Placed): FieldReport[] {
  const [first] = samples;
  const absent = first && rule.absent?.(first);
  if (absent != null)
    return [rule.pointer, rule.inner].map((field) => without(...field, "not-applicable", absent));
  const pairs = nearest(rule.pointerBelow, (end) => commonPairs(rule, samples, placed, end));
  const how = `behind its pointer in ${samples.length} connections`;
  const pointers = [...new Set(pairs.map((p) => p.pointer))];
  const pointer = judge(...rule.pointer, pointers, rule.lowest, how);
  const inner = pairs.filter((p) => p.pointer === pointer.offset).map((p) => p.inner);
  if (pointer.offset !== null) placed.add(pointer.offset, 8);
  return [pointer, judge(...rule.inner, inner, rule.lowest, how)];
}

function commonPairs(rule: PairRule, samples: SockSample[], placed: Placed, end: number): Pair[] {
  let pairs: Pair[] | undefined;
  for (const sample of samples) {
    const found = pairsIn(rule, sample, placed, end);
    pairs = pairs?.filter((p) => found.some((q) => same(p, q))) ?? found;
  }
  return pairs ?? [];
}

function pairsIn(rule: PairRule, sample: SockSample, placed: Placed, below: number): Pair[] {
  const expected = rule.expect(sample);
  const low = lowWord(expected);
  const pairs: Pair[] = [];
  for (const { offset: pointer, bytes } of sample.behind) {
    if (pointer >= below || placed.overlaps(pointer, 8)) continue;
    const view = viewOf(bytes);
    const end = Math.min(rule.innerBelow, bytes.length) - rule.width;
    for (let inner = rule.innerFrom ?? 0; inner <= end; inner += rule.width) {
      if (view.getUint32(inner, true) !== low) continue;
      if (rule.width === 4 || view.getBigUint64(inner, true) === expected)
        pairs.push({ pointer, inner });
    }
  }
  return pairs;
}

/** The inode embeds the struct socket, so its number lies at a fixed distance behind sk_socket. */
function solveSocketIno(sk_socket: number | null, samples: SockSample[]): FieldReport {
  if (sk_socket === null) return without("socket_ino", "socket", "failed", "needs sk_socket");
  let inos: number[] | undefined;
  for (const sample of samples) {
    const bytes = sample.behind.find((b) => b.offset === sk_socket)?.bytes ?? new Uint8Array();
    const found: number[] = [];
    const ino = BigInt(sample.truth.ino);
    const low = lowWord(ino);
    const view = viewOf(bytes);
    for (let at = 0; at + 8 <= bytes.length; at += 8)
      if (view.getUint32(at, true) === low && view.getBigUint64(at, true) === ino) found.push(at);
    inos = inos?.filter((at) => found.includes(at)) ?? found;
  }
  return judge("socket_ino", "socket", inos ?? [], undefined, "the inode of the socket's file");
}

/** Compared before all 64 bits are: a BigInt is made for each look at these, and most words differ here. */
const lowWord = (value: bigint): number => Number(BigInt.asUintN(32, value));

const same = (a: Pair, b: Pair) => a.pointer === b.pointer && a.inner === b.inner;
