/** The bytes that are written by hand are those of the texts they stand for. */
import { expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { Lines, segment } from "../../src/output/lines.ts";

const textOf = (lines: Lines): string => Buffer.from(lines.take(true).bytes).toString();
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

test("a number comes out in its decimal digits", () => {
  const lines = new Lines();
  const borders = [0, 9, 10, 999_999_999, 1e9, 2 ** 31, 2 ** 32, 2 ** 53 - 1];
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeNat(), fc.constantFrom(...borders)), (value) => {
      lines.integer(value);
      expect(textOf(lines)).toBe(String(value));
    }),
  );
  fc.assert(
    fc.property(fc.oneof(u64, fc.constantFrom(2n ** 53n - 1n, 2n ** 53n)), (value) => {
      lines.count64(value);
      expect(textOf(lines)).toBe(String(value));
    }),
  );
  lines.count64(null);
  expect(textOf(lines)).toBe("null");
});

test("lines longer than the room, and of any script, come out whole, and are counted", () => {
  const lines = new Lines();
  const some = ["", "a", "\u{1f41d} é", "x".repeat(200_000), "end"];
  for (const line of some) lines.line(line);
  expect(lines.count).toBe(some.length);
  expect(textOf(lines)).toBe(some.map((line) => `${line}\n`).join(""));
  expect(lines.count).toBe(0);
});

test("bytes that are held stay as they are while more is written", () => {
  const lines = new Lines();
  lines.line("first");
  const first = lines.take();
  lines.line("second");
  const second = lines.take();
  lines.line("third");
  expect(Buffer.from(first.bytes).toString()).toBe("first\n");
  first.done();
  expect(Buffer.from(second.bytes).toString()).toBe("second\n");
  expect(textOf(lines)).toBe("third\n");
});

test("a segment comes out as its text, whatever follows it", () => {
  const lines = new Lines();
  const ascii = fc.integer({ min: 0, max: 127 }).map((n) => String.fromCharCode(n));
  const beyond = fc.constantFrom(
    "\u{e9}",
    "\u{65e5}",
    "\u{fffd}",
    "\u{1f41d}",
    "\u{10ffff}",
    "\x7f",
  );
  const text = fc.string({ unit: fc.oneof(ascii, beyond) });
  fc.assert(
    fc.property(fc.array(text), (texts) => {
      for (const text of texts) lines.segment(segment(text));
      expect(textOf(lines)).toBe(texts.join(""));
    }),
  );
});
