/** The text of `--help`, from the same tables that are parsed. Plain: no escape codes on any terminal. Pure. */

import type { ArgDef } from "citty";
import { exitCodes, exitTexts } from "../errors.ts";
import {
  aliasesOf,
  behindOf,
  builtins,
  flagsOf,
  repeatOf,
  valueHintOf,
  wordsOf,
  type Command,
} from "./command.ts";

/** `path` is the command as typed, for instance `tracer-bpf offsets guess`. Ends in a newline. */
export function renderHelp(path: string, command: Command): string {
  const sections = [
    `${path}: ${command.description}`,
    `usage: ${path}${usageOf(command)}`,
    section("commands", commandRows(command)),
    section(
      "arguments",
      argumentsOf(command).map(([name, def]) => [name, describe(def)]),
    ),
    section("flags", [
      ...flagsOf(command).map(([name, def]) => [spell(name, def), describe(def)]),
      ...builtins.map(({ short, long, description }) => [`-${short}, --${long}`, description]),
    ]),
    ...command.legends.map(({ title, rows }) => section(title, rows)),
    section(
      "examples",
      command.examples.map((example) => [example]),
    ),
    `exit codes: ${exitLines().join(", ")}`,
  ];
  return `${sections.filter((text) => text !== "").join("\n\n")}\n`;
}

/** `3 this host cannot`, one per code. */
const exitLines = (): string[] =>
  Object.entries(exitCodes).map(
    ([name, code]) => `${code} ${exitTexts[name as keyof typeof exitCodes]}`,
  );

export function usageOf(command: Command): string {
  if (command.run === null) return " COMMAND [flags]";
  const words = wordsOf(command).map(([name, { required }]) =>
    required === false ? ` [${name.toUpperCase()}]` : ` ${name.toUpperCase()}`,
  );
  const required = flagsOf(command)
    .filter(([, def]) => def.required === true)
    .map(([name, def]) => ` --${name} ${valueHintOf(def)}`);
  const behind =
    behindOf(command) === null ? "" : ` [-- ${behindOf(command)![0].toUpperCase()}...]`;
  return `${words.join("")}${required.join("")} [flags]${behind}`;
}

/** As they are spelt in the usage. */
export function argumentsOf(command: Command): [name: string, def: ArgDef][] {
  const behind = behindOf(command);
  return [
    ...wordsOf(command).map(([name, def]): [string, ArgDef] => [name.toUpperCase(), def]),
    ...(behind === null ? [] : [[`-- ${behind[0].toUpperCase()}`, behind[1]] as [string, ArgDef]]),
  ];
}

function commandRows(command: Command): string[][] {
  return Object.entries(command.subCommands).map(([name, { description, subCommands }]) => {
    const inner = Object.keys(subCommands).join("|");
    return [inner === "" ? name : `${name} ${inner}`, description];
  });
}

function spell(name: string, def: ArgDef): string {
  const short = aliasesOf(def).map((alias) => `-${alias}, `);
  const value = valueHintOf(def);
  return `${short.join("") || "    "}--${name}${value === null ? "" : ` ${value}`}`;
}

/** Also how often it may be given, and what it is when it is not. */
export function describe(def: ArgDef): string {
  const repeat = repeatOf(def);
  return [
    def.description ?? "",
    repeat === null ? "" : `; ${repeat === "list" ? "a list, " : ""}may be repeated`,
    def.default === undefined ? "" : ` (${String(def.default)} if not given)`,
  ].join("");
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const width = Math.max(...rows.map(([first = ""]) => first.length));
  const lines = rows.map(([first = "", ...rest]) =>
    rest.length === 0 ? `  ${first}` : `  ${first.padEnd(width)}  ${rest.join(" ")}`,
  );
  return `${title}:\n${lines.join("\n")}`;
}
