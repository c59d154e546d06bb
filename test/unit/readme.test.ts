/** The README shows every command, and promises nothing that is not there. docs/reference.md has every flag. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { aliasesOf, everyCommand, flagsOf } from "../../src/commands/command.ts";
import { programName, root } from "../../src/commands/index.ts";
import { resolve } from "../../src/commands/strict.ts";
import { exitCodes } from "../../src/errors.ts";

const readme = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");
const commands = /^## Commands$([^]*?)^## /m.exec(readme)![1]!;

/** Texts between backquotes. */
const typed = Array.from(commands.matchAll(/`([^`]+)`/g), ([, text]) => text!);

test("every command", () => {
  for (const { words, command } of everyCommand(root)) {
    if (command.run === null) continue;
    const path = words.join(" ");
    expect([path, typed.some((text) => text.startsWith(path))]).toEqual([path, true]);
  }
});

test("every flag that it shows is one", () => {
  const known = new Set(
    everyCommand(root).flatMap(({ command }) =>
      flagsOf(command).flatMap(([name, def]) => [
        `--${name}`,
        ...aliasesOf(def).map((letter) => `-${letter}`),
      ]),
    ),
  );
  const flags = typed.flatMap((text) => text.match(/(?<=^|\s)--?\w[\w-]*/g) ?? []);
  expect(flags.length).toBeGreaterThan(3);
  expect(flags.filter((flag) => !known.has(flag) && flag !== "-l")).toEqual([]);
});

test("every command line that it shows is one", () => {
  const lines = Array.from(
    commands.matchAll(/^ {4}(?:sudo )?tracer-bpf (.*?)(?: +#.*| +>.*)?$/gm),
    ([, line]) => line!.split(/ +/),
  );
  expect(lines.length).toBeGreaterThan(7);
  for (const argv of lines) expect(resolve(programName, root, argv).kind).toBe("run");
});

test("every exit code", () => {
  for (const code of Object.values(exitCodes)) expect(commands).toContain(`**${code}** `);
});
