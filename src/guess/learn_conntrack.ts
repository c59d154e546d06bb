/**
 * Where struct nf_conn has its two tuples and its namespace, from copies of entries of which nothing is known: both tuples of
 * an entry have the same protocol and the same family, they stand one behind the other, and at least one end of the first is an
 * end of the second. No zone is told, since most entries have none. Pure.
 */
import { AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP } from "../kernel/constants.ts";
import { NF_TUPLE, NF_TUPLE_HASH } from "../kernel/nf_tuple.ts";
import type { ConntrackCopy } from "../record/layout.gen.ts";
import { viewOf } from "./search.ts";

export interface Learned {
  tuple_orig: number;
  /** 0: this kernel has no network namespaces. */
  net: number;
  /** In struct sk_buff; 0: the copies are of entries themselves. */
  skb_nfct: number;
}

export interface ToLearn {
  /** In the order of their places. */
  copies: readonly ConntrackCopy[];
  /** Each copy is of what a word of a sk_buff leads to, the nth of the nth word. */
  throughSkb: boolean;
  /** Inodes of the network namespaces of this host; `null`: this kernel has none. */
  namespaces: ReadonlySet<number> | null;
}

/** `null`: the copies do not tell yet, or contradict one another. */
export function learnConntrack({ copies, throughSkb, namespaces }: ToLearn): Learned | null {
  const found = [...copies.entries()].flatMap(([place, copy]) => {
    const at = entriesIn(copy.entry);
    return at.length === 1 ? [{ place, copy, at: at[0]! }] : [];
  });
  const [first] = found;
  if (first === undefined) return null;
  const agree = found.every(
    ({ at, place }) => at === first.at && (!throughSkb || place === first.place),
  );
  if (!agree) return null;
  const net = namespaces === null ? 0 : netIn(found, namespaces);
  if (net === null) return null;
  return { tuple_orig: first.at, net, skb_nfct: throughSkb ? first.place * WORD : 0 };
}

// --- internal ---

const WORD = 8;

/** The places at which the two tuples of an entry may begin. */
function entriesIn(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at + NF_TUPLE_HASH + NF_TUPLE.bytes <= bytes.length; at += WORD)
    if (isEntry(bytes.subarray(at, at + NF_TUPLE.bytes), bytes.subarray(at + NF_TUPLE_HASH)))
      found.push(at);
  return found;
}

function isEntry(orig: Uint8Array, reply: Uint8Array): boolean {
  const l3num = viewOf(orig).getUint16(NF_TUPLE.l3num, true);
  const protocol = orig[NF_TUPLE.protonum]!;
  if (l3num !== AF_INET && l3num !== AF_INET6) return false;
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return false;
  if (viewOf(reply).getUint16(NF_TUPLE.l3num, true) !== l3num) return false;
  if (reply[NF_TUPLE.protonum] !== protocol) return false;
  if (orig[NF_TUPLE.dir] !== 0 || reply[NF_TUPLE.dir] !== 1) return false;
  const ends = [orig, reply].flatMap((tuple) => [
    end(tuple, NF_TUPLE.src, NF_TUPLE.sport),
    end(tuple, NF_TUPLE.dst, NF_TUPLE.dport),
  ]);
  if (!ends.every((of) => isEnd(of, l3num))) return false;
  const [source, destination, answers, asked] = ends.map((of) => of.toHex());
  return source === asked || destination === answers;
}

/** An address of 16 bytes and a port. */
const end = (tuple: Uint8Array, address: number, port: number): Uint8Array =>
  Uint8Array.of(...tuple.subarray(address, address + 16), ...tuple.subarray(port, port + 2));

/** Of the union's 16 bytes IPv4 uses four. */
function isEnd(of: Uint8Array, l3num: number): boolean {
  const used = l3num === AF_INET ? 4 : 16;
  const isSome = (bytes: Uint8Array) => bytes.some((byte) => byte !== 0);
  return isSome(of.subarray(0, used)) && !isSome(of.subarray(used, 16)) && isSome(of.subarray(16));
}

/** The word that is the address of a namespace of this host in each copy that has one; `null`: none, or several. */
function netIn(
  found: readonly { copy: ConntrackCopy }[],
  namespaces: ReadonlySet<number>,
): number | null {
  const each = found
    .map(({ copy: { entry, inums } }) => {
      const inum = (n: number) => viewOf(inums).getUint32(n * 4, true);
      return Array.from({ length: entry.length / WORD }, (_, n) => n).filter((n) =>
        namespaces.has(inum(n)),
      );
    })
    .filter((words) => words.length > 0);
  const [first] = each;
  if (first === undefined || each.some((words) => words.length !== 1 || words[0] !== first[0]))
    return null;
  return first[0]! * WORD;
}
