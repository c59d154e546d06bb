/** The result of a guess as a table, and its comparison with BTF. Pure. Every text ends in a newline. */

import type { FieldStatus, GuessReport, VerifyReport } from "../guess/report.ts";
import { escapeText, jsonString } from "./escape.ts";

const unknown = "-";

export function reportText(report: GuessReport): string {
  const { kernel, attach, ms, fields } = report;
  const found = fields.filter(({ status }) => status === "found").length;
  const rows = fields.map((row) => [
    row.field,
    row.struct,
    row.offset?.toString() ?? unknown,
    row.candidates.length.toString(),
    row.status,
    row.how,
  ]);
  return [
    `Linux ${escapeText(kernel.release)} ${escapeText(kernel.machine)} (${escapeText(kernel.version)})`,
    ...table(["FIELD", "STRUCT", "OFFSET", "CANDIDATES", "STATUS", "HOW"], rows, [2, 3]),
    `${found} of ${fields.length} found in ${Math.round(ms)} ms (${attach})`,
    "",
  ].join("\n");
}

export function verifyText(report: GuessReport, { rows }: VerifyReport): string {
  const status = statuses(report);
  // A field that was not to be found is neither equal nor different, whatever the row says.
  const verdicts = rows.map(({ field, equal }) => {
    const known = status.get(field) ?? "found";
    return known === "found" ? (equal ? "equal" : "DIFFERS") : known;
  });
  const cells = rows.map(({ field, guessed, btf }, i) => {
    return [field, guessed?.toString() ?? unknown, btf?.toString() ?? unknown, verdicts[i] ?? ""];
  });
  const equals = verdicts.filter((verdict) => verdict === "equal").length;
  const compared = verdicts.filter(
    (verdict) => verdict === "equal" || verdict === "DIFFERS",
  ).length;
  return [
    ...table(["FIELD", "GUESSED", "BTF", "VERDICT"], cells, [1, 2]),
    `${equals} of ${compared} found offsets equal to the BTF of Linux ${escapeText(report.kernel.release)}` +
      `, ${rows.length - compared} of ${rows.length} fields not found`,
    "",
  ].join("\n");
}

export function verifyJson(report: GuessReport, { rows }: VerifyReport): string {
  const status = statuses(report);
  const fields = rows.map((row) => ({ ...row, status: status.get(row.field) ?? "found" }));
  return `{"kernel":${jsonString(report.kernel.release)},"fields":${JSON.stringify(fields)}}\n`;
}

function statuses(report: GuessReport): ReadonlyMap<string, FieldStatus> {
  return new Map(report.fields.map((row) => [row.field, row.status]));
}

/** Lines of aligned cells; `right` are the columns that hold numbers. */
export function table(titles: string[], rows: string[][], right: readonly number[]): string[] {
  const lines = [titles, ...rows.map((row) => row.map(escapeText))];
  const widths = titles.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  return lines.map((line) =>
    line
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        return right.includes(i) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}
