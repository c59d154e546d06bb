/** `bun run docs` writes the documents that are generated; test/unit/documents.test.ts holds them current. */
import { writeFileSync } from "node:fs";
import { programName, root } from "../commands/index.ts";
import { referencePage } from "../commands/reference.ts";

/** By path from the top. To add one, add a row. */
export const documents: Readonly<Record<string, () => string>> = {
  "docs/reference.md": () => referencePage(programName, root),
};

if (import.meta.main)
  for (const [path, text] of Object.entries(documents)) writeFileSync(path, text());
