/** Documents that are generated are current, and links in all documents lead somewhere. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { documents } from "../../src/build/documents.ts";
import { EVENTS_UNREAD } from "../../src/library/tracer.ts";
import { failureWords } from "../../src/output/failure_words.ts";
import { formatOf } from "../../src/output/index.ts";
import { KERNELS_TRIED } from "../../src/kernel/tried.ts";
import { columnLegend } from "../../src/output/legend.ts";
import { UNSAVED } from "../../src/recording/recorder.ts";
import { OUTPUT_UNREAD } from "../../src/sinks/lines.ts";
import { lossTexts } from "../../src/trace/health/losses.ts";
import { PARTS } from "../../src/trace/parts.ts";
import { ACCEPT_UNKNOWN } from "../../src/trace/tcp/part.ts";

/** Causes by which parts tell what their programs missed. */
const missed = PARTS.map((part) => part({ attach: "auto", debug: false }).misses).flatMap(
  (misses) => (misses ? [misses.cause("kprobe"), misses.cause("tracepoint")] : []),
);

const top = join(import.meta.dir, "../..");
const textOf = (path: string) => readFileSync(join(top, path), "utf8");
const pages = [
  ...["README.md", "KNOWN_ISSUES.md", "CONTRIBUTING.md", "CHANGELOG.md", "packaging/README.md"],
  ...readdirSync(join(top, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

test.each(Object.keys(documents))("%s is what `bun run docs` writes", (path) => {
  expect(textOf(path)).toBe(documents[path]!());
});

test.each([
  ["v", "all, `lost`"],
  ["local.port", "all"],
  ["failure", "each `fail`, some `close`"],
  ["segs_out", "each `close`, each `sample`, some `open` of TCP"],
  ["duration_us", "each `close`, each `sample`, some `open`"],
  ["args", "some of all kinds"],
  ["cause", "`lost`"],
])("docs/fields.md says which events have %s", (member, events) => {
  expect(textOf("docs/fields.md")).toContain(`\n| \`${member}\` | ${events} | `);
});

test.each(["README.md", "docs/kernels.md"])("%s names the kernels that were tried", (page) => {
  expect(textOf(page).replace(/\s+/g, " ")).toContain(KERNELS_TRIED);
});

test("the README has at most 150 lines", () => {
  expect(textOf("README.md").split("\n").length).toBeLessThanOrEqual(151);
});

test.each(pages)("every link in %s leads to a file, and to a heading of it", (page) => {
  const links = Array.from(withoutCode(textOf(page)).matchAll(/\]\(([^)]+)\)/g), ([, to]) => to!);
  for (const link of links.filter((to) => !/^https?:/.test(to))) {
    const [path, heading] = link.split("#");
    const target = path === "" ? page : join(dirname(page), path!);
    expect([link, existsSync(join(top, target))]).toEqual([link, true]);
    if (heading !== undefined) expect(anchorsOf(textOf(target))).toContain(heading);
  }
});

test.each(pages)("every file that %s names is there", (page) => {
  const named = Array.from(
    textOf(page).matchAll(/`((?:src|bpf|test|docs|packaging)\/[\w./-]*\w)`/g),
    ([, path]) => path!,
  );
  // NAME stands for any name.
  const missing = named.filter((path) => !path.includes("NAME") && !existsSync(join(top, path)));
  expect(missing).toEqual([]);
});

test("the picture of docs/architecture.md has every room, and no other", () => {
  const picture = /<!-- rooms -->([^]*?)<!-- end of rooms -->/.exec(
    textOf("docs/architecture.md"),
  )![1]!;
  const drawn = picture.match(/\b(?:src|bpf)\/[\w/]*\//g)!.map((path) => path.slice(0, -1));
  const foldersOf = (path: string) =>
    readdirSync(join(top, path), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${path}/${name}`);
  // src/trace is drawn by its own rooms.
  const rooms = ["bpf", "src/trace", "src"]
    .flatMap(foldersOf)
    .filter((path) => path !== "src/trace");
  expect(drawn.toSorted()).toEqual(rooms.toSorted());
});

describe("an entry of KNOWN_ISSUES.md", () => {
  const text = textOf("KNOWN_ISSUES.md");
  const entries = text.split(/\n\n+/).filter((paragraph) => paragraph.startsWith("**"));

  test("has three lines: what you see, why, what to do", () => {
    expect(entries.length).toBeGreaterThan(50);
    for (const entry of entries) expect(entry.trim()).toMatch(/^\*\*.+\*\*\\\nWhy: .+\\\nDo: .+$/);
  });

  const ofSinks = [OUTPUT_UNREAD, UNSAVED, EVENTS_UNREAD];
  test.each([...Object.values(lossTexts), ACCEPT_UNKNOWN, ...missed, ...ofSinks])(
    "tells of the loss: %s",
    (cause) => {
      expect(entries.filter((entry) => entry.split("\n")[0]!.includes(cause))).not.toEqual([]);
    },
  );
});

test("each column of each table is explained, and nothing else", () => {
  const base = { wide: false, time: false, uid: false, args: false, sinceNs: null, color: false };
  const titles = [
    formatOf("table", { ...base, sinceNs: 0n, time: true, uid: true, args: true }),
    formatOf("table", { ...base, wide: true }),
  ].flatMap(({ header }) => header!.trim().split(/\s+/));
  expect(new Set(titles)).toEqual(new Set(columnLegend.rows.map(([title]) => title)));
});

test("a failure word fits its column", () => {
  for (const { word } of Object.values(failureWords)) expect(word.length).toBeLessThanOrEqual(7);
});

const withoutCode = (text: string) =>
  text.replace(/^```[^]*?^```$/gm, "").replace(/`[^`\n]*`/g, "");

/** As the usual Markdown renderers make them. */
const anchorsOf = (text: string): string[] =>
  Array.from(withoutFences(text).matchAll(/^#+ (.*)$/gm), ([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );

const withoutFences = (text: string) => text.replace(/^```[^]*?^```$/gm, "");
