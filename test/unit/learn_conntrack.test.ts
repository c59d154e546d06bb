/** The search in copies of unknown entries: two of Linux 6.18, and some that are made up. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { learnConntrack } from "../../src/guess/learn_conntrack.ts";
import { tupleBytes, type NfTuple } from "../../src/guess/solve_conntrack.ts";
import { ConntrackCopySize, type ConntrackCopy } from "../../src/record/layout.gen.ts";

const { CONNTRACK_COPIES, CONNTRACK_WORDS } = ConntrackCopySize;
const HOST = 4_026_531_840;
const POD = 4_026_532_177;
const namespaces = new Set([HOST, POD]);

const recorded = (await Bun.file(
  join(import.meta.dir, "../fixtures/ctnetlink/entries-6.18.json"),
).json()) as Record<"tcp" | "udp6", string>;

const nothing = (): ConntrackCopy => ({
  entry: new Uint8Array(CONNTRACK_WORDS * 8),
  inums: new Uint8Array(CONNTRACK_WORDS * 4),
});

/** `net`: the word that is the address of a namespace, and its inode. */
function copyOf(entry: Uint8Array, net: number, inum = HOST): ConntrackCopy {
  const copy = { ...nothing(), entry };
  new DataView(copy.inums.buffer).setUint32(net * 4, inum, true);
  return copy;
}

const tuple = (from: number, to: number, length: 4 | 16 = 4): NfTuple => ({
  src: new Uint8Array(length).fill(from),
  sport: 1000 + from,
  dst: new Uint8Array(length).fill(to),
  dport: 1000 + to,
  protocol: 6,
});

function entry(at: number, orig: NfTuple, reply: NfTuple): Uint8Array {
  const { entry: bytes } = nothing();
  bytes.set(tupleBytes(orig, "orig"), at);
  bytes.set(tupleBytes(reply, "reply"), at + 56);
  return bytes;
}

const plain = (at: number, n = 1) => entry(at, tuple(n, n + 1), tuple(n + 1, n));
const learned = (copies: readonly ConntrackCopy[], throughSkb = false) =>
  learnConntrack({ copies, throughSkb, namespaces });

test("an entry of Linux 6.18 tells; one with two other ends does not", () => {
  const [tcp, udp6] = [recorded.tcp, recorded.udp6].map((hex) =>
    copyOf(Uint8Array.fromHex(hex), 17),
  );
  expect(learned([nothing(), tcp!])).toEqual({ tuple_orig: 32, net: 136, skb_nfct: 0 });
  expect(learned([udp6!])).toBeNull();
});

test.each([
  ["plain", tuple(1, 2), tuple(2, 1)],
  ["with another destination", tuple(1, 2), tuple(3, 1)],
  ["with another source", tuple(1, 2), tuple(2, 4)],
  ["of IPv6", tuple(1, 2, 16), tuple(3, 1, 16)],
])("an entry tells: %s", (_name, orig, reply) => {
  expect(learned([copyOf(entry(40, orig, reply), 20)])).toEqual({
    tuple_orig: 40,
    net: 160,
    skb_nfct: 0,
  });
});

test("an entry with two other ends tells nothing, and does not keep others from telling", () => {
  const hairpin = copyOf(entry(32, tuple(1, 2), tuple(3, 4)), 17);
  expect(learned([hairpin])).toBeNull();
  expect(learned([hairpin, copyOf(plain(32), 17)])?.tuple_orig).toBe(32);
});

test("of a namespace that cannot be found nothing is told; one that is found tells for all", () => {
  expect(learned([copyOf(plain(32), 17, 7)])).toBeNull();
  const copies = [copyOf(plain(32), 17, 7), copyOf(plain(32), 17, POD)];
  expect(learned(copies)?.net).toBe(136);
  expect(learnConntrack({ copies, throughSkb: false, namespaces: null })?.net).toBe(0);
});

test("copies that contradict one another tell nothing", () => {
  expect(learned([copyOf(plain(32), 17), copyOf(plain(40), 17)])).toBeNull();
  expect(learned([copyOf(plain(32), 17), copyOf(plain(32), 18)])).toBeNull();
  const two = plain(32);
  two.set(plain(136, 3).subarray(136), 136);
  expect(learned([copyOf(two, 17)])).toBeNull();
});

test("one byte that is not as in an entry, and nothing is told", () => {
  const whole = plain(32);
  for (const at of [32 + 8, 32 + 18, 32 + 38, 32 + 39, 88 + 18, 88 + 38, 88 + 39]) {
    const bytes = whole.slice();
    bytes[at]! ^= 0x40;
    expect(learned([copyOf(bytes, 17)])).toBeNull();
  }
});

test("behind a sk_buff the place tells which of its words leads to the entry", () => {
  const copies = Array.from({ length: CONNTRACK_COPIES }, nothing);
  copies[13] = copyOf(plain(32), 17);
  expect(learned(copies, true)).toEqual({ tuple_orig: 32, net: 136, skb_nfct: 104 });
  copies[14] = copyOf(plain(32, 5), 17);
  expect(learned(copies, true)).toBeNull();
});
