/** `bun run docs` writes the documents that are generated; test/unit/documents.test.ts holds them current. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fieldsTable } from "../commands/fields.ts";
import { programName, root } from "../commands/index.ts";
import { labelsTable, metricsTable } from "../commands/metrics_page.ts";
import { referencePage } from "../commands/reference.ts";
import { bpfUsesTable } from "../kernel/bpf_uses.ts";
import { featureTable } from "../kernel/feature_table.ts";

/** By path from the top. To add one, add a row. */
export const documents: Readonly<Record<string, () => string>> = {
  "docs/reference.md": () => referencePage(programName, root),
  "docs/fields.md": () => written("docs/fields.md", { members: fieldsTable() }),
  "docs/fleet.md": () =>
    written("docs/fleet.md", { metrics: metricsTable(), labels: labelsTable() }),
  "docs/kernels.md": () =>
    written("docs/kernels.md", {
      "kernel differences": featureTable(),
      "uses of BPF": bpfUsesTable(),
    }),
};

/** The document as it stands, but for the parts between their marks. */
function written(path: string, parts: Readonly<Record<string, string>>): string {
  let document = readFileSync(join(import.meta.dir, "../..", path), "utf8");
  for (const [name, text] of Object.entries(parts)) {
    const [begin, end] = [`<!-- ${name} -->\n`, `<!-- end of ${name} -->`];
    const [head, rest] = document.split(begin);
    const [, tail] = rest?.split(end) ?? [];
    if (tail === undefined) throw new Error(`${path} has no part "${name}"`);
    document = `${head}${begin}${text}${end}${tail}`;
  }
  return document;
}

if (import.meta.main)
  for (const [path, text] of Object.entries(documents)) writeFileSync(path, text());
