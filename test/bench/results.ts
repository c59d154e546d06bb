/** RESULTS.md: the targets at its top, then a section per part. Pure. */
import { summary, type Sections } from "./summary.ts";

export function sectionsOf(document: string): Map<string, string> {
  const parts = document.split(/^## /m).slice(1);
  return new Map(
    parts.map((part) => {
      const line = part.indexOf("\n");
      return [part.slice(0, line), part.slice(line).trim()];
    }),
  );
}

/** `titles`: the order of the sections; one that has none is left out. */
export function documentOf(titles: readonly string[], sections: Sections): string {
  const inOrder = titles.flatMap((title) => {
    const section = sections.get(title);
    return section === undefined ? [] : [`## ${title}\n\n${section}\n`];
  });
  return [HEAD, summary(sections), ...inOrder].join("\n");
}

// --- internal ---

const HEAD = `# Measured

Written by \`npm run bench\`; do not edit. Where the rest goes of each target that is missed, and what was tried:
[BUDGET.md](BUDGET.md).
`;
