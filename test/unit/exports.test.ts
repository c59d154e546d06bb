/** Every export of a file of src is imported by another file: nothing stays that nobody uses. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const top = join(import.meta.dir, "../..");
const below = (folder: string) =>
  readdirSync(join(top, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
    .map((file) => `${folder}/${file}`);
const texts = new Map(
  [...below("src"), ...below("test"), "build.ts"].map((file) => [
    file,
    readFileSync(join(top, file), "utf8"),
  ]),
);

const EXPORTED =
  /^export (?:abstract |async )*(const|function\*?|class|interface|type) (?:(\w+)|\{([\w,:\s]+)\} =)/gm;
const IMPORTED = /^(?:import|export) (?:type )?\{([^}]*)\} from "(\.[^"]*)"/gm;
const NAMESPACE = /^import (?:type )?\* as (\w+) from "(\.[^"]*)"/gm;
const LATER = /\bimport\("(\.[^"]*)"\)/g;
const ALL = /^export \* from "(\.[^"]*)"/gm;

const target = (from: string, path: string) => normalize(join(dirname(from), path));

/** `src/file.ts name` of everything that some other file imports. */
const used = new Set<string>();
const public_ = new Set<string>();
for (const [file, text] of texts) {
  for (const [, names, path] of text.matchAll(IMPORTED))
    for (const name of names!.split(","))
      used.add(
        `${target(file, path!)} ${name
          .replace(/ as .*/s, "")
          .replace("type ", "")
          .trim()}`,
      );
  for (const [, space, path] of text.matchAll(NAMESPACE))
    for (const [, name] of text.matchAll(new RegExp(`\\b${space}\\.(\\w+)`, "g")))
      used.add(`${target(file, path!)} ${name}`);
  for (const [, path] of text.matchAll(LATER))
    for (const [name] of text.matchAll(/\b\w+\b/g)) used.add(`${target(file, path!)} ${name}`);
  for (const [, path] of text.matchAll(ALL)) public_.add(target(file, path!));
}

interface Exported {
  file: string;
  name: string;
  isType: boolean;
}

const exported = [...texts].flatMap(([file, text]): Exported[] =>
  file.startsWith("src/") && !public_.has(file)
    ? [...text.matchAll(EXPORTED)].flatMap(([, kind, name, several]) =>
        (name ?? several!).split(",").map((one) => ({
          file,
          name: one.replace(/.*:/s, "").trim(),
          isType: kind === "interface" || kind === "type",
        })),
      )
    : [],
);

/** A type may stand in the signature of what its file exports. */
const isMentioned = ({ file, name }: Exported) =>
  (texts.get(file)!.match(new RegExp(`\\b${name}\\b`, "g")) ?? []).length > 1;

/** Generated as a whole: readers of structs inside of others, and the place of each member of a struct. */
const isPartOfWhole = ({ file, name }: Exported) =>
  file === "src/record/layout.gen.ts" &&
  (/^(EVENT|EVENT_BATCH|SAMPLE)_[A-Z0-9_]+$/.test(name) ||
    /^((read|write)(Ends|Owner)|EndsView|endsSize)$/.test(name));

test("what is exported is imported somewhere", () => {
  expect(exported.length).toBeGreaterThan(500);
  const unused = exported.filter(
    (one) =>
      !used.has(`${one.file} ${one.name}`) &&
      !isPartOfWhole(one) &&
      !(one.isType && isMentioned(one)),
  );
  expect(unused.map(({ file, name }) => `${file}: ${name}`)).toEqual([]);
});
