/** Numbers that C and TypeScript share stand in C; TypeScript has them from the generated layout. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as constants from "../../src/kernel/constants.ts";

const top = join(import.meta.dir, "../..");
const below = (folder: string, ending: RegExp) =>
  readdirSync(join(top, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => ending.test(file) && !file.endsWith(".gen.ts"))
    .map((file) => `${folder}/${file}`);
const withoutComments = (text: string) =>
  text.replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
const textOf = (file: string) => withoutComments(readFileSync(join(top, file), "utf8"));

const c = [...below("bpf", /\.[ch]$/), ...below("src/kernel/shim", /\.[ch]$/)].map(textOf);
const ts = [...below("src", /\.ts$/), ...below("test", /\.ts$/)].map(
  (file) => [file, textOf(file)] as const,
);

/** Names that C gives a number: in a #define, or in an enum. */
const cNames = new Set(
  c.flatMap((text) => [
    ...[...text.matchAll(/^#define (\w+) \(?[\d-]/gm)].map(([, name]) => name!),
    ...[...text.matchAll(/^enum \w+ \{([^}]*)\}/gm)].flatMap(([, body]) =>
      [...body!.matchAll(/^\s*([A-Z]\w*)\b/gm)].map(([, name]) => name!),
    ),
  ]),
);

const LITERAL = String.raw`-?(?:0x[\da-f_]+|0o[0-7_]+|\d[\d_]*)n?`;
/** A constant of TypeScript that is nothing but a number, or a sum, product or shift of numbers. */
const NUMBER = new RegExp(
  String.raw`^\s*(?:export )?const (\w+)(?:: \w+)? = ${LITERAL}(?: (?:<<|\*|\+|-) ${LITERAL})*;`,
  "gim",
);
/** Powers of two, one less than these, and thousands may stand for something else on the other side. */
const isRound = (value: number) =>
  [value, value + 1].some((one) => Number.isInteger(Math.log2(one))) || value % 1000 === 0;

const numbersIn = (text: string) => [...text.matchAll(NUMBER)].map(([, name]) => name!);

test("no constant of TypeScript has the name and the number of one of C by hand", () => {
  expect(cNames.size).toBeGreaterThan(200);
  const byHand = ts.flatMap(([file, text]) =>
    numbersIn(text)
      .filter((name) => cNames.has(name))
      .map((name) => `${file}: ${name}`),
  );
  expect(byHand).toEqual([]);
});

test("a number of C that is no round one stands nowhere in TypeScript", () => {
  const rare = (literal: string) => {
    const value = Number(literal.replaceAll("_", "").replace(/n$|U?LL$|U$/i, ""));
    return value > 65_536 && !isRound(value) ? [value] : [];
  };
  const literals = (text: string) =>
    [...text.matchAll(/(?<![\w.])(?:0x[\da-f_]+|\d[\d_]*)(?:n|ULL|U)?\b/gi)].flatMap(([literal]) =>
      rare(literal),
    );
  const inC = new Set(c.flatMap(literals));
  expect(inC.size).toBeGreaterThan(2);
  const byHand = ts.flatMap(([file, text]) =>
    literals(text)
      .filter((value) => inC.has(value))
      .map((value) => `${file}: 0x${value.toString(16)}`),
  );
  expect(byHand).toEqual([]);
});

test("a number of the kernel's interfaces stands in constants.ts alone", () => {
  const byHand = ts.flatMap(([file, text]) =>
    file === "src/kernel/constants.ts"
      ? []
      : numbersIn(text)
          .filter((name) => name in constants)
          .map((name) => `${file}: ${name}`),
  );
  expect(byHand).toEqual([]);
});
