/** The text of `--help`, from the same tables that are parsed. Plain: no escape codes on any terminal. Pure. */

import type { ArgDef } from "citty";
import { aliasesOf, valueHintOf, type Command } from "./command.ts";

/** `path` is the command as typed, for instance `tracer-bpf offsets guess`. Ends in a newline. */
export function renderHelp(path: string, command: Command): string {
  const flags = Object.entries(command.flags);
  const isWord = ([, def]: [string, ArgDef]) => def.type === "positional";
  const sections = [
    `${path}: ${command.description}`,
    `usage: ${path}${usageOf(command)}`,
    section("commands", commandRows(command)),
    section(
      "arguments",
      flags.filter(isWord).map(([name, def]) => [name.toUpperCase(), describe(def)]),
    ),
    section("flags", [
      ...flags
        .filter((flag) => !isWord(flag))
        .map(([name, def]) => [spell(name, def), describe(def)]),
      ["-h, --help", "print this help"],
      ["-V, --version", "print the version"],
    ]),
    section(
      "examples",
      command.examples.map((example) => [example]),
    ),
    "exit codes: 0 done, 1 failure, 2 wrong usage, 3 this host cannot",
  ];
  return `${sections.filter((text) => text !== "").join("\n\n")}\n`;
}

function usageOf(command: Command): string {
  if (command.run === null) return " COMMAND [flags]";
  const parts = Object.entries(command.flags).map(([name, def]) => {
    if (def.type === "positional") return ` ${name.toUpperCase()}`;
    return def.required === true ? ` --${name} ${valueHintOf(def)}` : "";
  });
  return `${parts.join("")} [flags]`;
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

function describe(def: ArgDef): string {
  const fallback = def.default === undefined ? "" : ` (${String(def.default)} if not given)`;
  return `${def.description ?? ""}${fallback}`;
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const width = Math.max(...rows.map(([first = ""]) => first.length));
  const lines = rows.map(([first = "", ...rest]) =>
    rest.length === 0 ? `  ${first}` : `  ${first.padEnd(width)}  ${rest.join(" ")}`,
  );
  return `${title}:\n${lines.join("\n")}`;
}
