/** The search for the offsets in struct nf_conn, in copies that are made up as kernels lay them out. */
import { expect, test } from "bun:test";
import {
  conntrackFields,
  solveConntrack,
  tupleBytes,
  type ConntrackSample,
  type NfTuple,
} from "../../src/guess/solve_conntrack.ts";

const tuple = (n: number, length: 4 | 16): NfTuple => ({
  src: Uint8Array.from({ length }, (_, i) => n + i),
  sport: 1000 + n,
  dst: Uint8Array.from({ length }, (_, i) => n + 100 + i),
  dport: 2000 + n,
  protocol: 6,
});

interface Layout {
  orig: number;
  reply: number;
  net: number;
  zone: number | null;
}

/** 4.9 to 5.10, 6.1 and later, 4.4 without zones. */
const layouts: readonly Layout[] = [
  { orig: 32, reply: 88, net: 144, zone: 12 },
  { orig: 32, reply: 88, net: 136, zone: 12 },
  { orig: 32, reply: 88, net: 184, zone: null },
];

function sample({ orig, reply, net, zone }: Layout, n: number, length: 4 | 16): ConntrackSample {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  const of = { orig: tuple(n, length), reply: tuple(n + 50, length) };
  bytes.set(tupleBytes(of.orig, "orig"), orig);
  bytes.set(tupleBytes(of.reply, "reply"), reply);
  view.setBigUint64(net, 0xffff_8880_1234_5000n, true);
  if (zone !== null) view.setUint16(zone, 500 + n, true);
  return { bytes, ...of, net: 0xffff_8880_1234_5000n, zone: zone === null ? null : 500 + n };
}

const offsetsOf = (samples: readonly ConntrackSample[]) =>
  solveConntrack(samples).map(({ offset }) => offset);

test.each(layouts)("the offsets %o are found", (layout) => {
  const { orig, reply, net, zone } = layout;
  const reports = solveConntrack([sample(layout, 1, 4), sample(layout, 30, 16)]);
  expect(reports.map(({ field }) => field)).toEqual([...conntrackFields]);
  expect(reports.map(({ offset }) => offset)).toEqual([orig, reply, net, zone]);
});

test("a tuple that differs in one byte is none", () => {
  const [layout] = layouts;
  const samples = [sample(layout!, 1, 4), sample(layout!, 30, 16)];
  samples[1]!.bytes[layout!.orig + 25]! ^= 1;
  expect(offsetsOf(samples)).toEqual([null, 88, 144, 12]);
});

test("tuples that are not 56 bytes apart cannot be read at once, so the second is not known", () => {
  const layout = { orig: 32, reply: 96, net: 144, zone: 12 };
  expect(offsetsOf([sample(layout, 1, 4), sample(layout, 30, 16)])).toEqual([32, null, 144, 12]);
});

test("a namespace that stands in two places is ambiguous", () => {
  const samples = [sample(layouts[0]!, 1, 4)];
  new DataView(samples[0]!.bytes.buffer).setBigUint64(200, samples[0]!.net!, true);
  expect(solveConntrack(samples)[2]).toMatchObject({ status: "ambiguous", candidates: [144, 200] });
});
