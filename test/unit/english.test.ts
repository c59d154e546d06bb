/**
 * No comment has a sentence without a noun in front: "What is lost", "Who closed it", "Those of the second kind". Such a
 * sentence makes the reader look for the noun elsewhere. CONTRIBUTING.md has examples of plain ones.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const top = join(import.meta.dir, "../..");
const headless =
  /^(What|Whatever|Who|Whoever|Whom|Whose|Which|Whichever|Those|(One|Some|All|None|Both|Each|Most) of (which|whom|those)|That which)\b/i;

const files = ["src", "bpf", "test", "build.ts"]
  .flatMap((path) =>
    path.includes(".")
      ? [path]
      : readdirSync(join(top, path), { recursive: true, encoding: "utf8" }).map(
          (file) => `${path}/${file}`,
        ),
  )
  .filter((path) => /\.(ts|[ch])$/.test(path) && !path.endsWith(".gen.ts"))
  // Has such sentences as examples.
  .filter((path) => path !== "test/unit/english.test.ts");

/** The sentences that still begin so, by folder. A number may only become smaller; a folder at 0 has no row. */
const remaining: Readonly<Record<string, number>> = {};

test("comments begin with their noun", () => {
  expect(files.length).toBeGreaterThan(300);
  const found = files.flatMap((file) =>
    sentencesOf(readFileSync(join(top, file), "utf8"))
      .filter((sentence) => headless.test(sentence))
      .map((sentence) => ({ folder: folderOf(file), text: `${file}: ${sentence}` })),
  );
  const tooMany = Object.entries(Object.groupBy(found, ({ folder }) => folder)).filter(
    ([folder, those]) => those!.length > (remaining[folder] ?? 0),
  );
  expect(tooMany.flatMap(([, those]) => those!.map(({ text }) => text))).toEqual([]);
});

test.each([
  ["/** What is lost. */", ["What is lost."]],
  ["/**\n * The count. Those of a\n * ring.\n */", ["The count.", "Those of a ring."]],
  ["a(); // Who closed it", ["Who closed it"]],
  ["// One line\n// and its rest. which is two\nb();", ["One line and its rest. which is two"]],
  ['const url = "http://What";', []],
])("the sentences of %j", (text, sentences) => {
  expect(sentencesOf(text)).toEqual(sentences);
});

const folderOf = (file: string) =>
  file.startsWith("bpf/") ? "bpf" : file.split("/").slice(0, -1).slice(0, 2).join("/");

/** Lines of `//` that follow each other are one comment. A sentence begins with a capital, or with the comment. */
function sentencesOf(text: string): string[] {
  const comments = text.match(/\/\*[^]*?\*\/|(?:(?<=^|\s)\/\/[^\n]*(?:\n[ \t]*(?=\/\/))?)+/g) ?? [];
  return comments.flatMap((comment) =>
    comment
      .replace(/\*\/$/, "")
      .split("\n")
      .map((line) => line.replace(/^\s*(\/\*\*?|\*|\/\/)\s?/, "").trim())
      .join(" ")
      .split(/(?<=[.!?])\s+(?=["`(]?[A-Z])/)
      .map((sentence) => sentence.trim())
      .filter((sentence) => sentence !== ""),
  );
}
