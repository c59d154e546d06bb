/** Markdown that the documents' generators share. Pure. */

export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(titles), `|${"---|".repeat(titles.length)}`, ...rows.map(line)].join("\n");
}

export const code = (text: string): string => `\`${text.replaceAll("|", "\\|")}\``;

/** Of text that is no Markdown. */
export const plain = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "\\<");
