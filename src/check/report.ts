/** A verdict as text for people and as JSON. Pure; both end in a newline. */

import { styleText } from "node:util";
import { escapeText, jsonString } from "../output/escape.ts";
import type { Status, Verdict } from "./findings.ts";

const styles = { ok: "green", note: "yellow", problem: "red" } as const;

export function verdictText({ works, attach, findings }: Verdict, color: boolean): string {
  const paint = (status: Status, text: string) =>
    color ? styleText(styles[status], text, { validateStream: false }) : text;
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, status, found, fix }) => [
    `${paint(status, status.padEnd(7))}  ${name.padEnd(width)}  ${escapeText(found)}`,
    ...(fix === null ? [] : [`${" ".repeat(9 + width)}  try: ${escapeText(fix)}`]),
  ]);
  const last = works
    ? paint("ok", `this host can be traced, with ${attach}s`)
    : paint("problem", "this host cannot be traced as it is");
  return `${[...lines, last].join("\n")}\n`;
}

/** `v` is raised when a member changes its meaning or goes away. */
export function verdictJson({ works, attach, findings }: Verdict): string {
  const rows = findings.map(({ name, status, found, fix }) => {
    const members = { name, status, found, fix };
    return `{${Object.entries(members)
      .map(([member, value]) => `"${member}":${value === null ? "null" : jsonString(value)}`)
      .join(",")}}`;
  });
  const mode = attach === null ? "null" : jsonString(attach);
  return `{"v":1,"works":${works},"attach":${mode},"findings":[${rows.join(",")}]}\n`;
}
