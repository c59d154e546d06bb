import { expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import {
  addressOfWords,
  addressText,
  endpointText,
  parseAddress,
} from "../../src/record/address.ts";

function groups(text: string): Uint8Array {
  return Uint8Array.from(
    text.split(" ").flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]),
  );
}

test.each([
  ["0 0 0 0 0 0 0 0", "::"],
  ["0 0 0 0 0 0 0 1", "::1"],
  ["2001 db8 0 0 0 0 0 1", "2001:db8::1"],
  ["2001 db8 0 1 1 1 1 1", "2001:db8:0:1:1:1:1:1"],
  ["2001 0 0 1 0 0 0 1", "2001:0:0:1::1"],
  ["2001 db8 0 0 1 0 0 1", "2001:db8::1:0:0:1"],
  ["fe80 0 0 0 0 0 0 0", "fe80::"],
  ["0 0 0 0 0 0 1 0", "::1:0"],
])("%s is written %s", (bytes, text) => {
  expect(addressText(groups(bytes), 6)).toEqual({ family: 6, address: text });
});

test("a v4-mapped address is shown as the IPv4 address it stands for", () => {
  expect(addressText(groups("0 0 0 0 0 ffff 7f00 1"), 6)).toEqual({
    family: 4,
    address: "127.0.0.1",
  });
});

test("the words of a tuple are read in memory order", () => {
  expect(addressOfWords(0n, 0x0100007fn, 4)).toEqual({ family: 4, address: "127.0.0.1" });
  expect(addressOfWords(0n, 0x0100_0000_0000_0000n, 6)).toEqual({ family: 6, address: "::1" });
  expect(addressOfWords(0xb80d0120n, 0x0200_0000_0000_0000n, 6)).toEqual({
    family: 6,
    address: "2001:db8::2",
  });
});

test("a high half of an IPv4 word is not part of the address", () => {
  expect(addressOfWords(7n, 0xffff_ffff_0100_007fn, 4).address).toBe("127.0.0.1");
});

test("an IPv6 endpoint stands in brackets", () => {
  expect(endpointText({ address: "::1", port: 80 })).toBe("[::1]:80");
  expect(endpointText({ address: "127.0.0.1", port: 80 })).toBe("127.0.0.1:80");
});

test("what is written is read back to the same bytes", () => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const sparse = bytes.map((all) => all.map((byte) => (byte % 3 === 0 ? byte : 0)));
  fc.assert(
    fc.property(fc.oneof(bytes, sparse), fc.constantFrom(4 as const, 6 as const), (all, family) => {
      const written = addressText(all, family);
      const read = parseAddress(written.address);
      expect(read?.family).toBe(written.family);
      const from = family === 4 ? 0 : written.family === 4 ? 12 : 0;
      const length = written.family === 4 ? 4 : 16;
      expect(read?.bytes.slice(0, length)).toEqual(all.slice(from, from + length));
    }),
  );
});

test.each([
  "",
  ":",
  ":::",
  "1",
  "1.2.3",
  "1.2.3.4.5",
  "256.0.0.1",
  "01.2.3.4",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1::2::3",
  "::12345",
  "g::",
  "1:2:3:4:5:6:7::8",
  "1.2.3.4::",
  "::1%lo",
  " ::1",
])("%p is no address", (text) => {
  expect(parseAddress(text)).toBeNull();
});

test("a dotted end is read as two groups", () => {
  expect(parseAddress("::ffff:1.2.3.4")?.bytes).toEqual(groups("0 0 0 0 0 ffff 102 304"));
});
