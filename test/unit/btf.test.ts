import { beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { elfSection } from "../../src/build/elf_section.ts";
import {
  enumValuesOf,
  findMember,
  findType,
  membersOf,
  parseBtf,
  sizeOf,
  variablesOf,
  type Btf,
} from "../../src/kernel/btf.ts";

const SOURCE = `
typedef unsigned long long u64;
struct inner { int first; u64 second[3]; };
struct outer {
	char byte;
	struct {
		short in_struct;
		union { const volatile u64 in_union; char other; };
	};
	struct inner named;
	unsigned a : 3, b : 5;
	struct outer *next;
};
enum small { NEGATIVE = -1, ZERO, BIG = 0x7fffffff };
struct outer use_outer;
enum small use_small;
int in_section __attribute__((section(".maps")));
`;

let btf: Btf;

beforeAll(() => {
  const directory = mkdtempSync(join(tmpdir(), "btf-test-"));
  try {
    const out = join(directory, "x.o");
    const command = ["clang", "-O2", "-g", "-target", "bpf", "-c", "-x", "c", "-", "-o", out];
    const clang = Bun.spawnSync(command, { stdin: Buffer.from(SOURCE), stderr: "inherit" });
    if (!clang.success) throw new Error('clang is needed: run "bun run build", which installs it');
    btf = parseBtf(elfSection(readFileSync(out), ".BTF")!);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const bitsOf = (path: string): { bitOffset: number; bitSize: number } | null => {
  const member = findMember(btf, "outer", path);
  return member && { bitOffset: member.bitOffset, bitSize: member.bitSize };
};

test("members of unnamed structs and unions are found by their own names", () => {
  expect(bitsOf("in_struct")).toEqual({ bitOffset: 8 * 8, bitSize: 0 });
  expect(bitsOf("in_union")).toEqual({ bitOffset: 16 * 8, bitSize: 0 });
});

test("a path goes through named members", () => {
  expect(bitsOf("named.second")).toEqual({ bitOffset: (24 + 8) * 8, bitSize: 0 });
});

test("bit fields have an offset and a size in bits", () => {
  expect(bitsOf("a")).toEqual({ bitOffset: 56 * 8, bitSize: 3 });
  expect(bitsOf("b")).toEqual({ bitOffset: 56 * 8 + 3, bitSize: 5 });
});

test("what is not there is null, not an error", () => {
  expect(bitsOf("nothing")).toBeNull();
  expect(bitsOf("byte.nothing")).toBeNull();
  expect(findMember(btf, "absent", "byte")).toBeNull();
});

test("sizes see through arrays, typedefs and pointers", () => {
  const size = (path: string): number => sizeOf(btf, findMember(btf, "outer", path)!.type);
  expect(size("named.second")).toBe(24);
  expect(size("in_union")).toBe(8);
  expect(size("next")).toBe(8);
  expect(sizeOf(btf, findType(btf, "struct", "outer")!)).toBe(72);
  expect(membersOf(btf, findType(btf, "struct", "inner")!).map((member) => member.name)).toEqual([
    "first",
    "second",
  ]);
});

test("enum values may be negative", () => {
  expect(enumValuesOf(btf, findType(btf, "enum", "small")!)).toEqual([
    { name: "NEGATIVE", value: -1n },
    { name: "ZERO", value: 0n },
    { name: "BIG", value: 0x7fffffffn },
  ]);
});

test("the variables of a section are listed", () => {
  expect(variablesOf(btf, ".maps").map((variable) => variable.name)).toEqual(["in_section"]);
});

test("data that is no BTF is refused", () => {
  expect(() => parseBtf(new Uint8Array(24))).toThrow("not BTF");
});
