/** `bun run docs` writes the documents that are generated; test/unit/documents.test.ts holds them current. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fieldsTable } from "../commands/fields.ts";
import { programName, root } from "../commands/index.ts";
import { referencePage } from "../commands/reference.ts";
import { featureTable } from "../kernel/feature_table.ts";

/** By path from the top. To add one, add a row. */
export const documents: Readonly<Record<string, () => string>> = {
  "docs/reference.md": () => referencePage(programName, root),
  "docs/fields.md": () => between("docs/fields.md", "members", fieldsTable()),
  "docs/kernels.md": () => between("docs/kernels.md", "kernel differences", featureTable()),
};

/** The document as it stands, but for the part between its marks. */
function between(path: string, name: string, text: string): string {
  const old = readFileSync(join(import.meta.dir, "../..", path), "utf8");
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- end of ${name} -->`];
  const [head, rest] = old.split(begin);
  const [, tail] = rest?.split(end) ?? [];
  if (tail === undefined) throw new Error(`${path} has no part "${name}"`);
  return `${head}${begin}${text}${end}${tail}`;
}

if (import.meta.main)
  for (const [path, text] of Object.entries(documents)) writeFileSync(path, text());
