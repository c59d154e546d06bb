/** The search for sk_socket goes on behind the first part of a sock until a word leads to its struct socket. */
import { expect, test } from "bun:test";
import { Placed } from "../../src/guess/search.ts";
import type { SockSample } from "../../src/guess/snapshot.ts";
import { leadsBack, solveBehind } from "../../src/guess/solve_behind.ts";

const SK = 0xffff_8880_0123_4000n;
const POINTER = 0xffff_8880_0456_7800n;

/** Words that lie behind a word of the sock. */
const words = (...values: bigint[]): Uint8Array =>
  new Uint8Array(BigUint64Array.from(values).buffer);

test("a struct socket leads back: its state and type, its flags, its file, its sock", () => {
  expect(leadsBack(words(0x1_0000_0003n, 0n, POINTER, SK), SK)).toBe(true);
  expect(leadsBack(words(0x1_0000_0003n, 0n, POINTER, SK), SK + 64n)).toBe(false);
});

test("a sk_buff in a queue of the sock does not: its neighbours, its device, its sock", () => {
  expect(leadsBack(words(POINTER, POINTER, 0n, SK), SK)).toBe(false);
});

test("what is shorter than a word, or has the sock far behind, does not", () => {
  expect(leadsBack(new Uint8Array(4), SK)).toBe(false);
  expect(leadsBack(words(...Array<bigint>(8).fill(0n), SK), SK)).toBe(false);
});

test("words of which only the low half is a sock's or an inode's are neither", () => {
  const [ino, high] = [4711n, 7n << 32n];
  const behind = [
    { offset: 600, bytes: words(3n, 0n, POINTER, SK, ino | high, ino) },
    { offset: 700, bytes: words(3n, 0n, POINTER, SK ^ high) },
  ];
  const sample = { sk: SK, truth: { netns: 0, ino: Number(ino) }, behind } as unknown as SockSample;
  const offsets = solveBehind([sample], new Placed()).map(({ field, offset }) => [field, offset]);
  expect(Object.fromEntries(offsets)).toMatchObject({
    sk_socket: 600,
    socket_sk: 24,
    socket_ino: 40,
  });
});
