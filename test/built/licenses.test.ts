import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { dependencies } from "../../package.json";
import { ARCHES, executableOf, HOST, type Arch } from "../../src/build/arch.ts";
import { notice, partsInside } from "../../src/build/licenses.ts";
import { linkShim, OBJECTS, objectFile, shimFile } from "../../src/build/native.ts";
import { sbom } from "../../src/build/sbom.ts";
import { run } from "../../src/build/step.ts";

const ours = resolve(executableOf(HOST));
const printed = Bun.spawnSync([ours, "licenses"], { cwd: "/", stderr: "pipe" });
const text = printed.stdout.toString();

describe("tracer-bpf licenses", () => {
  test("prints all of it, to stdout alone, in a pipe too", () => {
    expect(printed.stderr.toString()).toBe("");
    expect(printed.exitCode).toBe(0);
    expect(text === notice(HOST, null)).toBe(true);
  });

  test("names what is inside, with the versions that are inside", () => {
    const lines = text.slice(0, text.indexOf("\n===="));
    expect(lines).toContain(`Bun ${Bun.version} (${Bun.revision})`);
    expect(lines).toContain(`WebKit ${process.versions["webkit"]}: LGPL`);
    for (const [name, version] of Object.entries(dependencies))
      expect(lines).toContain(`${name} ${version}: `);
    for (const name of ["libbpf", "libelf of elfutils", "zlib"])
      expect(lines).toMatch(new RegExp(`${name} \\d+\\.\\d+`));
  });

  test("tells no path of the machine it was built on", () => {
    expect(text).not.toMatch(/\/(root|home|tmp)\/|\.cache/);
  });

  // LGPL-3 is a supplement to GPL-3, so a reader needs both.
  test.each(["LGPL-2", "LGPL-2.1", "LGPL-3", "GPL-3", "GPL-2"])("holds the whole %s", (name) => {
    expect(text.includes(readFileSync(`/usr/share/common-licenses/${name}`, "utf8"))).toBe(true);
  });

  test.each(["libbpf-dev", "libelf-dev", "zlib1g-dev"])("holds the copyright of %s", (name) => {
    expect(text.includes(readFileSync(`/usr/share/doc/${name}/copyright`, "utf8"))).toBe(true);
  });
});

test("everything that the executable imports from npm is a dependency, whose licence it then prints", () => {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const imported = [...new Bun.Glob("src/**/*.ts").scanSync(".")]
    .filter((file) => !file.startsWith("src/build/"))
    .flatMap((file) => transpiler.scanImports(readFileSync(file, "utf8")))
    .map(({ path }) => path)
    .filter((path) => /^[a-z@]/.test(path) && !/^(node|bun)(:|$)/.test(path))
    .map((path) => /^(@[^/]+\/)?[^/]+/.exec(path)![0]);
  expect([...new Set(imported)].toSorted()).toEqual(Object.keys(dependencies).toSorted());
});

test.each(OBJECTS)("the %s object declares a licence that lets it call every helper", (name) => {
  for (const arch of [...new Set<Arch>([HOST, "arm64"])]) {
    const dump = run(["readelf", "--string-dump=license", objectFile(arch, name)]);
    // The kernel's own list of what counts as GPL (include/linux/license.h).
    expect(dump).toMatch(/\b(GPL|GPL v2|Dual BSD\/GPL|Dual MIT\/GPL)$/m);
  }
  const sources = [...new Bun.Glob("bpf/**/*.[ch]").scanSync(".")];
  for (const source of sources)
    expect([source, readFileSync(source, "utf8").split("\n")[0]]).toEqual([
      source,
      expect.stringContaining("SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"),
    ]);
});

test("the SBOM lists the parts that the notice lists, each once, with its version", () => {
  const { metadata, components } = JSON.parse(
    sbom(partsInside(HOST, null), { file: "executable", sha256: "", epoch: 0 }),
  );
  interface Component {
    "bom-ref": string;
    name: string;
    version?: string;
    components?: Component[];
  }
  const flat = (list: Component[]): Component[] =>
    list.flatMap((one) => [one, ...flat(one.components ?? [])]);
  const listed = flat([metadata.component, ...components]);
  const lines = text.slice(0, text.indexOf("\n====")).split("\n");
  const rows = lines.filter((line) => /^ {2}\S/.test(line)).map((line) => line.trim());
  expect(rows.length).toBeGreaterThan(20);
  expect(listed.map(({ name, version }) => `${name} ${version ?? ""}`.trim())).toEqual(
    rows.map((row) => row.replace(/( \([0-9a-f]{40}\))?: .*/, "")),
  );
  expect(new Set(listed.map((one) => one["bom-ref"])).size).toBe(listed.length);
});

describe("relinking with another libelf", () => {
  let work: string;
  beforeAll(() => {
    work = mkdtempSync(join(tmpdir(), "relink-test-"));
  });
  afterAll(() => rmSync(work, { recursive: true }));

  test("takes that one, exports the same, and needs no newer glibc", () => {
    const mark = "a libelf of somebody else";
    const other = join(work, "libelf.a");
    copyFileSync(`/usr/lib/${ARCHES[HOST].triplet}/libelf.a`, other);
    writeFileSync(
      join(work, "mark.c"),
      `__attribute__((used, retain)) static const char mark[] = "${mark}";\n`,
    );
    run(["gcc", "-c", "-fPIC", "mark.c", "-o", "mark.o"], { cwd: work });
    run(["ar", "x", other, "elf_version.o"], { cwd: work });
    run(["ld", "-r", "elf_version.o", "mark.o", "-o", "new.o"], { cwd: work });
    copyFileSync(join(work, "new.o"), join(work, "elf_version.o"));
    run(["ar", "r", other, "elf_version.o"], { cwd: work });

    const out = join(work, "shim.so");
    linkShim(HOST, out, other);
    expect(readFileSync(out).includes(mark)).toBe(true);
    expect(readFileSync(shimFile(HOST)).includes(mark)).toBe(false);
    const symbols = (file: string): string[] =>
      run(["nm", "-D", "--format=just-symbols", file]).split("\n").toSorted();
    expect(symbols(out)).toEqual(symbols(shimFile(HOST)));
  });
});
