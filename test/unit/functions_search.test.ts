/** Copies of a sock before it entered a sockmap and after tell where its functions stand, or the search says that they do not. */
import { describe, expect, test } from "bun:test";
import { functionsIn, type InSockmap } from "../../src/trace/tcp/functions_search.ts";

const KERNEL = 0xffff_ffff_8300_0000n;
const [TCP, TCP6, SOCKMAPS, ROW] = [KERNEL + 0x100n, KERNEL + 0x900n, KERNEL + 0x4000n, 1760n];
const AT = 40;

/** A sock whose words are an address of the heap each, but for the functions. */
function sock(functions: bigint, changed: Record<number, bigint> = {}): Uint8Array {
  const words = BigUint64Array.from({ length: 32 }, (_, n) => 0xffff_8880_0000_0000n + BigInt(n));
  words[AT / 8] = functions;
  for (const [at, word] of Object.entries(changed)) words[Number(at) / 8] = word;
  return new Uint8Array(words.buffer);
}

const v4: InSockmap = { outside: sock(TCP), inside: sock(SOCKMAPS) };
const v6: InSockmap = { outside: sock(TCP6), inside: sock(SOCKMAPS + ROW) };

describe("the functions of socks", () => {
  test("stand where both families have others in a sockmap, and sockmaps have a row for each", () => {
    expect(functionsIn(v4, v6)).toEqual({
      at: BigInt(AT),
      tcp_v4: TCP,
      tcp_v6: TCP6,
      sockmaps: SOCKMAPS,
      sockmaps_bytes: 2n * ROW,
    });
  });

  test("are found without IPv6", () => {
    const found = functionsIn(v4, undefined)!;
    expect([found.at, found.tcp_v4, found.tcp_v6]).toEqual([BigInt(AT), TCP, 0n]);
    // The last table of the row, of which a sock with two programs uses the fourth.
    expect(found.sockmaps_bytes).toBeGreaterThan((ROW * 3n) / 4n);
  });

  test.each<[string, InSockmap, InSockmap]>([
    [
      "nothing changed: a program of another's has put them into a sockmap before",
      { outside: v4.inside, inside: v4.inside },
      v6,
    ],
    [
      "another pointer changed as well",
      { ...v4, inside: sock(SOCKMAPS, { 24: KERNEL }) },
      { ...v6, inside: sock(SOCKMAPS + ROW, { 24: KERNEL }) },
    ],
    ["what changed is no address", { ...v4, inside: sock(7n) }, v6],
    ["the families' rows lie the other way round", v4, { ...v6, inside: sock(SOCKMAPS - ROW) }],
    ["the families' rows lie far apart", v4, { ...v6, inside: sock(SOCKMAPS + (1n << 20n)) }],
  ])("are not known where %s", (_, ipv4, ipv6) => {
    expect(functionsIn(ipv4, ipv6)).toBeNull();
  });
});
