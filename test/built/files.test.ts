import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { executableOf, HOST, type Arch } from "../../src/build/arch.ts";
import { embedded } from "../../src/build/executable.ts";
import { shimFile } from "../../src/build/native.ts";
import { run } from "../../src/build/step.ts";
import { shimFunctions } from "../unit/drive/shim_functions.ts";

/** Of the executable as well: Bun itself asks for 2.17. */
const GLIBC_FLOOR = [2, 17] as const;

const arches: Arch[] = [...new Set<Arch>([HOST, "arm64"])];

function built(file: string): string {
  if (!existsSync(file)) throw new Error(`${file} is not built: run "bun build.ts --arm64"`);
  return file;
}

interface Symbol {
  name: string;
  version: string | null;
  defined: boolean;
}

function dynamicSymbols(file: string): Symbol[] {
  const table = run(["readelf", "--dyn-syms", "--wide", built(file)]).split("\n");
  return table
    .map((line) => line.trim().split(/\s+/))
    .filter((row) => /^\d+:$/.test(row[0] ?? "") && row[7] !== undefined && row[3] !== "SECTION")
    .map((row) => {
      const [name, version] = row[7]!.split(/@+/);
      return { name: name!, version: version ?? null, defined: row[6] !== "UND" };
    });
}

const dynamic = (file: string): string => run(["readelf", "--dynamic", "--wide", built(file)]);

/** "GLIBC_2.2.5" as [2, 2, 5]; null for what is no such version. */
const glibc = (version: string | null): number[] | null =>
  version?.startsWith("GLIBC_") ? version.slice(6).split(".").map(Number) : null;

const isAbove = (version: readonly number[], floor: readonly number[]): boolean =>
  version[0]! > floor[0]! || (version[0] === floor[0] && version[1]! > floor[1]!);

for (const arch of arches) {
  test(`the ${arch} shim and executable ask for no glibc above ${GLIBC_FLOOR.join(".")}`, () => {
    for (const file of [shimFile(arch), executableOf(arch)]) {
      const symbols = dynamicSymbols(file);
      expect(symbols.some((symbol) => glibc(symbol.version) !== null)).toBe(true);
      const above = symbols.filter((symbol) =>
        isAbove(glibc(symbol.version) ?? [0, 0], GLIBC_FLOOR),
      );
      expect(above).toEqual([]);
    }
  });

  test(`the ${arch} shim exports the functions of shim.h and nothing else`, () => {
    const declared = shimFunctions();
    const exported = dynamicSymbols(shimFile(arch)).filter((symbol) => symbol.defined);
    expect(exported.map((symbol) => symbol.name).toSorted()).toEqual(declared.toSorted());
  });

  test(`the ${arch} shim needs no library but libc, by the name it has in glibc and musl`, () => {
    const needed = dynamic(shimFile(arch)).matchAll(/\(NEEDED\).*\[(.*)\]/g);
    expect(Array.from(needed, ([, name]) => name!)).toEqual(["libc.so.6"]);
  });

  test(`the ${arch} shim and executable take libraries from no directory of their own choice`, () => {
    for (const file of [shimFile(arch), executableOf(arch)])
      expect(dynamic(file)).not.toMatch(/\((RPATH|RUNPATH)\)/);
  });

  test(`the ${arch} executable is of that machine and holds that machine's files`, () => {
    const image = readFileSync(built(executableOf(arch)));
    const machine = { x64: 62, arm64: 183 }[arch]; // e_machine
    expect(image.readUInt16LE(18)).toBe(machine);
    for (const file of embedded(arch))
      expect({ file, embedded: image.includes(readFileSync(file)) }).toEqual({
        file,
        embedded: true,
      });
  });
}

// Bun asks the processor before it uses more; what gcc makes of the shim must not need more by itself.
test.if(HOST === "x64")("the x64 shim has no instruction that only newer processors know", () => {
  const code = run(["objdump", "--disassemble", "--no-show-raw-insn", shimFile("x64")]);
  expect(code).toMatch(/%xmm0/);
  expect(code).not.toMatch(/%[yz]mm|\b(mulx|pdep|pext|movbe|vfmadd\w*)\b/);
});

test("the plain object is the one inside the executable", () => {
  const object = readFileSync(built("dist/tracer.bpf.o"));
  expect(readFileSync(built(executableOf(HOST))).includes(object)).toBe(true);
});
