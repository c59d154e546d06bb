import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";

const at = (path: string) => new URL(`../${path}`, import.meta.url);
const table = readFileSync(at("SCENARIOS.md"), "utf8");

/** `open: "a", "b …"; unit/state: "c"` */
const named = [...table.matchAll(/((?:unit\/)?[a-z]+): ((?:"[^"]+"(?:, )?)+)/g)].flatMap(
  ([, file, names]) =>
    [...names!.matchAll(/"([^"]+)"/g)].map(([, name]) => [file!, name!] as const),
);

/** The tests of trace have the names of a table. */
function source(file: string): string {
  const path = file.startsWith("unit/") ? `${file}.test.ts` : `kernel/${file}.test.ts`;
  if (!existsSync(at(path))) throw new Error(`${path} is not there`);
  const drive = file === "trace" ? readFileSync(at("kernel/drive/scenarios.ts"), "utf8") : "";
  return readFileSync(at(path), "utf8") + drive;
}

test("every test that SCENARIOS.md names is there", () => {
  expect(named.length).toBeGreaterThan(80);
  const plain = (text: string) => text.replaceAll("${mode}", "%s");
  const missing = named.filter(
    ([file, name]) => !plain(source(file)).includes(name.replace(/ ?….*$/, "")),
  );
  expect(missing).toEqual([]);
});

test("every number of its groups is in SCENARIOS.md", () => {
  const numbers = new Set<number>();
  for (const [, from, to] of table.matchAll(/(?<=^\|[^|]*?)(\d+)(?:–(\d+))?(?=[^|]*\|)/gm))
    for (let n = Number(from); n <= Number(to ?? from); n++) numbers.add(n);
  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const wanted = [...range(1, 68), ...range(81, 99), ...range(127, 130)];
  expect(wanted.filter((n) => !numbers.has(n))).toEqual([]);
});
