/** The map of conntrack's entries, as the tool reads and writes it, on a kernel whose map is an object. */
import { expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { turned, type Tuple } from "../../src/kernel/ctnetlink_codec.ts";
import type { KernelObject } from "../../src/kernel/object.ts";
import { KernelError, type Shim } from "../../src/kernel/shim.ts";
import { EEXIST } from "../../src/kernel/constants.ts";
import { addressOfWords } from "../../src/record/address.ts";
import { ConnMetadata } from "../../src/record/layout.gen.ts";
import { addressesOf, addressOfRow } from "../../src/record/row_address.ts";
import { EntryMap, keyOf } from "../../src/trace/nat/entry_map.ts";

const [ENTRIES, TELEMETRY] = [3, 4];

/** The maps by their descriptors; keys and values as hex. */
function kernel() {
  const maps = new Map([
    [ENTRIES, new Map<string, string>()],
    [TELEMETRY, new Map([["00000000", "00".repeat(8)]])],
  ]);
  const hex = (of: NodeJS.TypedArray) => new Uint8Array(of.buffer).toHex();
  const shim = {
    mapLookup(fd: number, key: NodeJS.TypedArray, value: Uint8Array) {
      const found = maps.get(fd)!.get(hex(key));
      if (found !== undefined) value.setFromHex(found);
      return found !== undefined;
    },
    mapUpdate(fd: number, key: NodeJS.TypedArray, value: NodeJS.TypedArray, flags = 0) {
      const of = maps.get(fd)!;
      if (flags === 1 && of.has(hex(key))) throw new KernelError("map update", EEXIST);
      of.set(hex(key), hex(value));
    },
    mapDelete: (fd: number, key: NodeJS.TypedArray) => maps.get(fd)!.delete(hex(key)),
    mapNextKey(fd: number, _key: null, next: Uint8Array) {
      const [first] = maps.get(fd)!.keys();
      if (first !== undefined) next.setFromHex(first);
      return first !== undefined;
    },
  } as unknown as Shim;
  const mapFd = (name: string) => (name === "conntrack" ? ENTRIES : TELEMETRY);
  return { maps, entries: new EntryMap(shim, { mapFd } as unknown as KernelObject) };
}

const end = (address: string, port: number) => ({
  family: address.includes(":") ? (6 as const) : (4 as const),
  address,
  port,
});
const udp = (from: [string, number], to: [string, number]): Tuple => ({
  protocol: 17,
  source: end(...from),
  destination: end(...to),
});

const CLIENT = udp(["10.1.1.2", 5353], ["10.96.0.10", 53]);
const SERVER = udp(["10.1.2.2", 8053], ["192.0.2.1", 1024]);
const NETNS = 4_026_531_840;

test("a translated entry is found by the tuple of either end, and by no other", () => {
  const { entries } = kernel();
  entries.add(NETNS, CLIENT, turned(SERVER));
  const ask = (tuple: Tuple, netns = NETNS) => entries.ask(netns, [{ netns, tuple }])[0];
  expect(ask(CLIENT)).toEqual(turned(SERVER));
  expect(ask(SERVER)).toEqual(turned(CLIENT));
  // No packet of this connection has these ends in this order.
  expect(ask(turned(CLIENT))).toBeNull();
  expect(ask(turned(SERVER))).toBeNull();
  expect(ask(CLIENT, 7)).toBeNull();
});

test("a plain entry is one element for both ends", () => {
  const { entries, maps } = kernel();
  entries.add(NETNS, CLIENT, CLIENT);
  expect(maps.get(ENTRIES)!.size).toBe(1);
  for (const tuple of [CLIENT, turned(CLIENT)])
    expect(entries.ask(NETNS, [{ netns: NETNS, tuple }])).toEqual([tuple]);
});

test("an entry that the programs have stored meanwhile stays, and the programs look up from the first entry on", () => {
  const { entries, maps } = kernel();
  entries.add(NETNS, CLIENT, turned(SERVER));
  const before = new Map(maps.get(ENTRIES));
  entries.add(NETNS, CLIENT, CLIENT);
  expect(maps.get(ENTRIES)!).toEqual(before);
  expect(maps.get(TELEMETRY)!.get("00000000")).toBe("0100000000000000");
  entries.empty();
  expect(maps.get(ENTRIES)!.size).toBe(0);
});

test("the order of a key's ends depends on the ends, not on who asks", () => {
  const address = fc.oneof(fc.ipV4(), fc.constantFrom("2001:db8::1", "fd00::2:1", "::1"));
  fc.assert(
    fc.property(address, address, fc.nat(65_535), fc.nat(65_535), (a, b, p, q) => {
      fc.pre(a.includes(":") === b.includes(":") && (a !== b || p !== q));
      const tuple = udp([a, p], [b, q]);
      const [one, other] = [keyOf(NETNS, tuple), keyOf(NETNS, turned(tuple))];
      expect(one.key).toEqual(other.key);
      expect(one.swapped).not.toBe(other.swapped);
    }),
  );
});

test("an address of /proc/net is that of the words it was printed from", () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 64n - 1n), (high, low) => {
      const ends = { saddr_h: high, saddr_l: low, daddr_h: 0n, daddr_l: 1n, sport: 1, dport: 1 };
      const [v4] = addressesOf({ ...ends, metadata: 0 });
      const [v6] = addressesOf({ ...ends, metadata: ConnMetadata.METADATA_IPV6 });
      expect(addressOfRow(v4)).toEqual(addressOfWords(0n, low, 4));
      expect(addressOfRow(v6)).toEqual(addressOfWords(high, low, 6));
    }),
  );
  expect(addressOfRow("0100007F")).toEqual({ family: 4, address: "127.0.0.1" });
  expect(addressOfRow("B80D0120000000000000000001000000")).toEqual({
    family: 6,
    address: "2001:db8::1",
  });
});
