/** A queue of sk_buffs is found by the one that waits in it, and only by that. */
import { expect, test } from "bun:test";
import { solveQueue } from "../../src/guess/solve_queue.ts";

const FLOOR = 0xffff_8000_0000_0000n;
const SK = 0xffff_8880_1234_5000n;
const SKB = 0xffff_8880_4321_0800n;
/** Two queues, and beside them a list head of another kind. */
const [QUEUE, OTHER, LIST] = [208, 240, 96];
const SOCK_BYTES = 1024;

/** A sock whose list heads are empty, but for one. */
function sock(at: number | null, skb = SKB, length = 1): Uint8Array {
  const bytes = new Uint8Array(SOCK_BYTES).fill(0x5a);
  const view = new DataView(bytes.buffer);
  for (const head of [QUEUE, OTHER, LIST]) {
    const address = head === at ? skb : SK + BigInt(head);
    view.setBigUint64(head, address, true);
    view.setBigUint64(head + 8, address, true);
    view.setUint32(head + 16, head === at ? length : 0, true);
  }
  return bytes;
}

/** The links of the sk_buff lead back to the head. */
const peekAt = (at: number) => (address: bigint) => {
  const links = BigUint64Array.of(SK + BigInt(at), SK + BigInt(at));
  return address === SKB ? new Uint8Array(links.buffer) : new Uint8Array();
};

const solved = (waiting: Uint8Array, peek = peekAt(QUEUE)) =>
  solveQueue({ sk: SK, settled: sock(null), waiting, peek }, FLOOR);

test("the queue in which one sk_buff waits is found", () => {
  expect(solved(sock(QUEUE))).toEqual({ at: QUEUE, skb: SKB });
  expect(solved(sock(OTHER), peekAt(OTHER))).toEqual({ at: OTHER, skb: SKB });
});

test("none is found where nothing waits, or two sk_buffs do", () => {
  expect(solved(sock(null))).toBeNull();
  expect(solved(sock(QUEUE, SKB, 2))).toBeNull();
});

test("none is found where the links do not lead back, or lead to no address of the kernel", () => {
  expect(solved(sock(QUEUE), peekAt(OTHER))).toBeNull();
  expect(solved(sock(QUEUE), () => new Uint8Array())).toBeNull();
  expect(solved(sock(QUEUE, 0x7fff_0000_0000n))).toBeNull();
});
