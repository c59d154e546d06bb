/** Names are looked for in a file of BTF, piece by piece. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namesInBtf } from "../../src/kernel/btf_names.ts";

const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-btf-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Several pieces of names of all lengths, so that names lie across the ends of pieces. */
const names = Array.from({ length: 20_000 }, (_, n) => `name_${n}${"x".repeat(n % 13)}`);
const TYPES = "\0a_type\0";

function written(name: string, magic = 0xeb9f): string {
  const file = join(directory, name);
  const strings = Buffer.from(`\0${names.join("\0")}\0`);
  const header = Buffer.alloc(24);
  header.writeUInt16LE(magic, 0);
  header.writeUInt32LE(header.length, 4);
  header.writeUInt32LE(TYPES.length, 12);
  header.writeUInt32LE(TYPES.length, 16);
  header.writeUInt32LE(strings.length, 20);
  writeFileSync(
    file,
    Buffer.concat([header, Buffer.from(TYPES), strings, Buffer.from("behind\0")]),
  );
  return file;
}

test("every name is found, whole, and nothing that is no name", () => {
  const file = written("btf");
  const some = names.filter((_, n) => n % 97 === 0 || n === names.length - 1);
  expect(namesInBtf(some, file)).toBe(true);
  const missing = ["name_", "ame_1x", "name_20000", "a_type", "behind"];
  for (const name of missing) expect(namesInBtf([names[7]!, name], file)).toBe(false);
});

test("a file that is none, or that is not there, has no names", () => {
  expect(namesInBtf([names[0]!], written("other", 0x1234))).toBe(false);
  expect(namesInBtf([names[0]!], join(directory, "none"))).toBe(false);
});
