/** The same sources give the same bytes in any directory, and the bytes tell nothing of the directory. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { executableOf, HOST, type Arch } from "../../src/build/arch.ts";
import { objectFile, objectFileWithLines, OBJECTS, shimFile } from "../../src/build/native.ts";
import { Copies, run, top } from "./copy.ts";

setDefaultTimeout(600_000);

/** Of the objects the smallest alone: the others are made by the same command, and take half a minute. */
const OBJECT = "lookup";
const MADE = [
  objectFileWithLines(HOST, OBJECT),
  objectFile(HOST, OBJECT),
  shimFile(HOST),
  executableOf(HOST),
];
const MAKE = `
  import { HOST } from "./src/build/arch.ts";
  import { executableStep } from "./src/build/executable.ts";
  import { objectStep, shimStep } from "./src/build/native.ts";
  for (const step of [objectStep(HOST, "${OBJECT}"), shimStep(HOST, null), executableStep(HOST)])
    await step.run();
`;

const copies = new Copies("same-bytes");
afterAll(() => copies[Symbol.dispose]());
let trees: string[];

beforeAll(async () => {
  trees = ["a", "some/other/directory"].map((name) => copies.of(top, name));
  for (const tree of trees) {
    const made = await run(tree, [process.execPath, "-e", MAKE]);
    expect(made).toEqual({ exitCode: 0, text: "" });
  }
});

const contents = (file: string): Buffer[] => trees.map((tree) => readFileSync(join(tree, file)));

test.each(MADE)("%s is the same, built in two directories", (file) => {
  const [one, other] = contents(file);
  expect(one!.length).toBeGreaterThan(1000);
  expect(one!.equals(other!)).toBe(true);
});

test("none of them names the directory that it was built in", () => {
  for (const file of MADE)
    for (const content of contents(file))
      expect({ file, named: trees.some((tree) => content.includes(tree)) }).toEqual({
        file,
        named: false,
      });
});

test("no built file names this directory or the user's home", () => {
  const arches = ([HOST, "arm64"] as Arch[]).filter((arch) => existsSync(shimFile(arch)));
  const files = arches.flatMap((arch) => [
    shimFile(arch),
    ...OBJECTS.map((name) => objectFile(arch, name)),
    ...[executableOf(arch)].filter((file) => existsSync(file)),
  ]);
  // With a slash, because "/root" alone is a part of other words.
  const names = [top, join(homedir(), ".cache")].map((path) => `${path}/`);
  for (const file of files) {
    const content = readFileSync(file);
    expect({ file, named: names.filter((name) => content.includes(name)) }).toEqual({
      file,
      named: [],
    });
  }
});
