/** A queue of sk_buffs in a sock, from copies of the sock before and while one of them waits in it. Pure. */
import { viewOf } from "./search.ts";
import { KERNEL_CEILING } from "./window.ts";

export interface QueueSample {
  sk: bigint;
  /** The beginning of the sock while all its queues were empty. */
  settled: Uint8Array;
  waiting: Uint8Array;
  /** Copies memory; shorter, or empty, where it cannot be read. */
  peek(address: bigint): Uint8Array;
}

/** Where in the sock it stands, and the sk_buff; `null`: there is none, or several, or one with several sk_buffs. */
export function solveQueue(
  { sk, settled, waiting, peek }: QueueSample,
  floor: bigint,
): { at: number; skb: bigint } | null {
  const found: { at: number; skb: bigint }[] = [];
  for (let at = 0; at + HEAD_BYTES <= Math.min(settled.length, waiting.length); at += 8) {
    const own = sk + BigInt(at);
    if (!leadsTwice(settled, at, own) || qlen(settled, at) !== 0) continue;
    const skb = u64(waiting, at);
    if (skb === own || skb < floor || skb >= KERNEL_CEILING) continue;
    if (!leadsTwice(waiting, at, skb) || qlen(waiting, at) !== 1) continue;
    const links = peek(skb);
    if (links.length >= LINKS_BYTES && leadsTwice(links, 0, own)) found.push({ at, skb });
  }
  return found.length === 1 ? found[0]! : null;
}

// --- internal ---

/** struct sk_buff_head since 2.6: next, prev, the length in 32 bits. A struct sk_buff begins with next and prev. */
const HEAD_BYTES = 20;
const LINKS_BYTES = 16;

const u64 = (bytes: Uint8Array, at: number): bigint => viewOf(bytes).getBigUint64(at, true);
const qlen = (bytes: Uint8Array, at: number): number => viewOf(bytes).getUint32(at + 16, true);
const leadsTwice = (bytes: Uint8Array, at: number, address: bigint): boolean =>
  u64(bytes, at) === address && u64(bytes, at + 8) === address;
