/** Families as Prometheus reads them: its text format, version 0.0.4. Pure. */
import { escapeText } from "../output/escape.ts";
import type { Family, Row } from "./series.ts";
import { PREFIX, type Metric } from "./table.ts";

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Families without a row are left out. */
export function prometheusText(families: readonly Family[]): string {
  return families.map(familyText).join("");
}

// --- internal ---

function familyText({ name, metric, rows }: Family): string {
  const lines = Array.from(rows, (row) => rowText(PREFIX + name, metric, row));
  if (lines.length === 0) return "";
  const head = `# HELP ${PREFIX}${name} ${helpText(metric.help)}\n# TYPE ${PREFIX}${name} ${metric.type}\n`;
  return head + lines.join("");
}

function rowText(name: string, { bounds }: Metric, { labels, value, buckets }: Row): string {
  const pairs = labels.map(([label, text]) => `${label}="${labelText(text)}"`);
  if (buckets === null) return `${name}${braces(pairs)} ${value}\n`;
  let count = 0;
  const lines = buckets.map((more, at) => {
    count += more;
    const le = at < bounds!.length ? bounds![at]!.toString() : "+Inf";
    return `${name}_bucket${braces([...pairs, `le="${le}"`])} ${count}\n`;
  });
  return `${lines.join("")}${name}_sum${braces(pairs)} ${value}\n${name}_count${braces(pairs)} ${count}\n`;
}

const braces = (pairs: readonly string[]): string =>
  pairs.length === 0 ? "" : `{${pairs.join(",")}}`;

/** Names of others as the table shows them, so that no terminal obeys them; then as the format wants it. */
const labelText = (text: string): string =>
  escapeText(text).replace(/\\/g, "\\\\").replace(/"/g, '\\"');

const helpText = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
