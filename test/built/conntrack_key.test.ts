/** The keys of conntrack's entries that the tool makes are those that the programs make. */
import { dlopen } from "bun:ffi";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { addressOfWords } from "../../src/record/address.ts";
import {
  ConnMetadata,
  conntrackTupleSize,
  readConntrackTuple,
  writeConntrackTuple,
  type ConntrackTuple,
} from "../../src/record/layout.gen.ts";
import { keyOf } from "../../src/trace/nat/entry_map.ts";
import { fc, runs } from "../unit/drive/random.ts";
import { buildNative } from "./native.ts";

// A compiler is run.
setDefaultTimeout(300_000);

let directory: string;
let ordered: (key: Uint8Array) => number;

beforeAll(() => {
  const built = buildNative("conntrack_key");
  directory = built.directory;
  const { symbols } = dlopen(built.library, { ordered: { args: ["ptr"], returns: "u32" } });
  ordered = symbols.ordered as typeof ordered;
});
afterAll(() => rmSync(directory, { recursive: true }));

const word = fc.bigInt(0n, 2n ** 64n - 1n);
const port = fc.nat(65_535);

test.each([
  [4, fc.record({ high: fc.constant(0n), low: fc.bigInt(0n, 2n ** 32n - 1n) })],
  [6, fc.record({ high: word, low: word })],
] as const)(
  "of IPv%i ends, in the same order, and told to be swapped or not",
  (family, address) => {
    const { METADATA_IPV6 } = ConnMetadata;
    const seen = new Set<number>();
    fc.assert(
      fc.property(address, address, port, port, (source, destination, sport, dport) => {
        const tuple: ConntrackTuple = {
          ...{ saddr_h: source.high, saddr_l: source.low, sport },
          ...{ daddr_h: destination.high, daddr_l: destination.low, dport },
          netns: 4_026_531_840,
          metadata: family === 6 ? METADATA_IPV6 : 0,
        };
        const end = ({ high, low }: typeof source, of: number) => ({
          ...addressOfWords(high, low, family),
          port: of,
        });
        // An address of IPv6 that stands for one of IPv4 is one of IPv4 to everybody.
        const [from, to] = [end(source, sport), end(destination, dport)];
        fc.pre(from.family === family && to.family === family);
        const bytes = new Uint8Array(conntrackTupleSize);
        writeConntrackTuple(new DataView(bytes.buffer), 0, tuple);
        const swapped = ordered(bytes);
        seen.add(swapped);
        expect(keyOf(tuple.netns, { protocol: 17, source: from, destination: to })).toEqual({
          key: readConntrackTuple(new DataView(bytes.buffer), 0),
          swapped,
        });
      }),
      runs(2_000),
    );
    // Both ways have been met.
    expect(seen.size).toBe(2);
  },
);
