// npm run test:matrix [FILE...]: every kernel of the lab, and a table of how it went.
import { parseArgs } from "node:util";
import { newerKernels } from "./fetch.ts";
import { runOnEach } from "./fleet.ts";
import { matrix, type MatrixRow } from "./kernels.ts";
import type { Outcome } from "./lab.ts";
import { installTools } from "./tools.ts";

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: { binary: { type: "string" }, "test-name-pattern": { type: "string", short: "t" } },
});
installTools();
const newer = (await newerKernels()).map((name) => ({ name, required: false }));
const rows: MatrixRow[] = [...matrix, ...newer];
const outcomes = await runOnEach(
  rows.map((row) => row.name),
  { files: positionals, binary: values.binary, pattern: values["test-name-pattern"] },
);
const bad = rows.filter((row, i) => isBad(row, outcomes[i]!));
console.log(table(outcomes));
const ok = rows.length - bad.length;
console.log(
  `${ok} kernels passed, ${bad.length} failed${bad.map(({ name }) => ` ${name}`).join()}`,
);
process.exit(bad.length === 0 ? 0 : 1);

function isBad(row: MatrixRow, outcome: Outcome): boolean {
  return outcome.state === "absent" ? row.required : outcome.failed > 0;
}

function table(outcomes: readonly Outcome[]): string {
  const heading = [
    "kernel",
    "release",
    "passed",
    "failed",
    "skipped",
    "boot s",
    "total s",
    "result",
  ];
  const lines = outcomes.map((outcome) => [
    outcome.kernel,
    outcome.release || "-",
    String(outcome.passed),
    String(outcome.failed),
    String(outcome.skipped),
    outcome.bootSeconds?.toFixed(1) ?? "-",
    outcome.seconds.toFixed(0),
    outcome.state === "absent"
      ? "no longer in Debian's archive"
      : outcome.failed > 0
        ? "FAILED"
        : "ok",
  ]);
  const widths = heading.map((_, column) =>
    Math.max(...[heading, ...lines].map((line) => line[column]!.length)),
  );
  return [heading, ...lines]
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
