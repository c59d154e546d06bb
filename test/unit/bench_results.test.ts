/** The results of the benches: the targets at the top of RESULTS.md, rows measured again, and rows that became slower. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { documentOf, sectionsOf } from "../bench/results.ts";
import { merged, slower } from "../bench/rows.ts";
import { summary } from "../bench/summary.ts";
import { table } from "../bench/table.ts";

const FEATURES = "The cost of one feature";
const titles = ["name", "Linux", "tracer", "rate", "instructions added", "reported", "measured"];
const row = (
  name: string,
  release: string,
  tracer: string,
  rate: string,
  reported = "none lost",
) => [...[name, release, `tracer-bpf, ${tracer}`, rate, "1", reported, "today"]];
const [OLD, NEW, NEWER] = ["6.1.0-57-cloud-amd64", "6.12.118+deb13-cloud-amd64", "6.12.119+x"];

describe("the top of RESULTS.md", () => {
  const lineOf = (rows: string[][], begin: string) =>
    summary(new Map([[FEATURES, table(titles, rows)]]))
      .split("\n")
      .find((line) => line.startsWith(begin));

  test("is what its sections tell", () => {
    const document = readFileSync(join(import.meta.dir, "../bench/RESULTS.md"), "utf8");
    const sections = sectionsOf(document);
    expect(documentOf([...sections.keys()], sections)).toBe(document);
  });

  test("says of each rate whether it meets its kernel's target", () => {
    const rows = [row("plain", NEW, "kprobes", "0.870"), row("plain", OLD, "kprobes", "0.870")];
    expect(lineOf(rows, "| crr | kprobes |")).toBe(
      "| crr | kprobes | 0.90, before 6.2 0.86 | 0.870 met | 0.870 **missed** |",
    );
  });

  test("compares what is asked for less with all of JSON in the same run", () => {
    const all = row("filters", NEW, "kprobes", "0.850");
    const table_ = (rate: string) => row("filters", NEW, "kprobes --output table", rate);
    const begin = "| crr | kprobes --output table |";
    expect(lineOf([all, table_("0.840")], begin)).toEndWith(" 0.840 met |");
    expect(lineOf([all, table_("0.830")], begin)).toEndWith(" 0.830 **missed** |");
  });

  test("has a dash where nothing was measured", () => {
    expect(lineOf([row("rr", NEW, "kprobes", "0.990")], "| stream | kprobes |")).toEndWith("| - |");
    expect(summary(new Map())).toContain("| start to the first event, ms | 120 | - |");
  });

  test("takes the other figures from their sections", () => {
    const start = table(
      ["where", "how", "ms", "CPU, ms"],
      [["this machine", "tracepoint", "119 (100 to 130, 7 runs)", "101 (90 to 120, 7 runs)"]],
    );
    const text = summary(new Map([["From the start to the first event", start]]));
    expect(text).toContain("| start to the first event, ms | 120 | 119 met |");
    expect(text).toContain("| CPU until then, ms | 100 | 101 **missed** |");
  });

  test("names each row that lost something", () => {
    const rows = [
      row("plain", NEW, "kprobes", "0.9", "99.9 %, bytes exact, lost 3 events"),
      row("plain", NEW, "tracepoints", "0.9", "100.0 %, bytes exact, none lost"),
      row("udprr", NEW, "kprobes", "0.9", "bytes exact"),
    ];
    expect(summary(new Map([[FEATURES, table(titles, rows)]]))).toEndWith(
      "Rows that counted events: 3; with a loss: plain, 6.12, tracer-bpf, kprobes: 99.9 %, bytes exact, lost 3 events.\n",
    );
  });
});

test("a row that is measured again takes the place of its version's row, and the others stay", () => {
  const before = table(titles, [
    row("rr", NEW, "kprobes", "0.9"),
    row("rr", OLD, "kprobes", "0.8"),
  ]);
  const again = row("rr", NEWER, "kprobes", "0.95");
  expect(merged(before, titles, [again])).toEqual([again, row("rr", OLD, "kprobes", "0.8")]);
});

describe("a row that is slower by more than 2 % is told", () => {
  const rates = ["Linux", "tracer", "stream", "rr", "crr", "udprr", "measured"];
  const speeds = ["", "1,000 events per second", "ns per event"];

  test.each([
    [
      "a feature",
      table(titles, [row("rr", NEW, "kprobes", "0.900")]),
      table(titles, [row("rr", NEWER, "kprobes", "0.880")]),
      "slower than before: rr, 6.12, tracer-bpf, kprobes: rate 0.88, was 0.9",
    ],
    [
      "a workload of a tracer",
      table(rates, [[NEW, "tcplife", "1.000", "1.000", "0.742", "1.000", "then"]]),
      table(rates, [[NEW, "tcplife", "1.000", "1.000", "0.700", "1.000", "now"]]),
      "slower than before: 6.12, tcplife: crr 0.7, was 0.742",
    ],
    [
      "a speed of decoding",
      table(speeds, [["decode", "3,744", "267"]]),
      table(speeds, [["decode", "2,744", "364"]]),
      "slower than before: decode: 1,000 events per second 2744, was 3744",
    ],
  ])("%s", (_, before, after, sentence) => {
    expect(slower(before, after)).toEqual([sentence]);
    expect(slower(after, before)).toEqual([]);
  });

  test("and no row that fell by less, is new, or was measured in another kernel", () => {
    const before = table(titles, [row("rr", NEW, "kprobes", "0.900")]);
    expect(slower(before, table(titles, [row("rr", NEW, "kprobes", "0.885")]))).toEqual([]);
    expect(slower(before, table(titles, [row("rr", OLD, "kprobes", "0.500")]))).toEqual([]);
    expect(slower("", table(titles, [row("rr", NEW, "kprobes", "0.500")]))).toEqual([]);
  });
});
