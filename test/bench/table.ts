/** Tables of Markdown, written and read. Pure. */

export interface Table {
  titles: readonly string[];
  rows: readonly (readonly string[])[];
}

export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  return line(titles) + line(titles.map(() => "---")) + rows.map(line).join("");
}

/** All tables of a text. */
export function tablesOf(text: string): Table[] {
  const blocks = text.split(/\n(?!\|)/).map((block) => block.split("\n").filter(isRow).map(cells));
  return blocks
    .filter((lines) => lines.length > 2)
    .map(([titles, , ...rows]) => ({ titles: titles!, rows }));
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

// --- internal ---

const isRow = (line: string): boolean => line.startsWith("|") && line.endsWith("|");
const cells = (line: string): string[] => line.slice(2, -2).split(" | ");
