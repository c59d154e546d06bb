/** The text of `--help`, from the same tables that are parsed. Plain: no escape codes on any terminal. Pure. */

import type { ArgDef } from "citty";
import { exitCodes, exitTexts } from "../errors.ts";
import { wrap } from "../output/wrap.ts";
import {
  aliasesOf,
  behindOf,
  builtins,
  flagsOf,
  repeatOf,
  titleOf,
  valueHintOf,
  wordsOf,
  type Command,
} from "./command.ts";

/**
 * `path` is the command as typed, for instance `tracer-bpf offsets guess`. `columns`: of the terminal; `null`: it is none, and
 * each flag has one line, which grep(1) finds whole. Ends in a newline.
 */
export function renderHelp(path: string, command: Command, columns: number | null = null): string {
  const room = columns ?? Infinity;
  const sections: Section[] = [
    { title: "commands", rows: commandRows(command) },
    {
      title: "arguments",
      rows: argumentsOf(command).map(([name, def]) => [name, describe(def)]),
    },
    ...flagSections(command),
    ...command.legends,
    { title: "examples", rows: command.examples.map((example) => [example]) },
  ];
  const texts = [
    paragraph(`${path}: ${command.description}`, room),
    `usage: ${path}${usageOf(command)}`,
    ...sections.filter(({ rows }) => rows.length > 0).map((one) => sectionText(one, room)),
    paragraph(`exit codes: ${exitLines().join(", ")}`, room),
  ];
  return `${texts.join("\n\n")}\n`;
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

/** Flags without a title come last, with the ones that every command has. */
function flagSections(command: Command): Section[] {
  const byTitle = new Map<string, string[][]>();
  const rest: string[][] = [];
  for (const [name, def] of flagsOf(command)) {
    const title = titleOf(def);
    const row = [spell(name, def), describe(def)];
    if (title === null) rest.push(row);
    else byTitle.set(title, [...(byTitle.get(title) ?? []), row]);
  }
  rest.push(
    ...builtins.map(({ short, long, description }) => [`-${short}, --${long}`, description]),
  );
  const titled = [...byTitle].map(([title, rows]) => ({ title, rows }));
  return [...titled, { title: titled.length === 0 ? "flags" : "other flags", rows: rest }];
}

interface Section {
  title: string;
  rows: readonly (readonly string[])[];
}

/** Of a terminal, the names take no more; a longer one has its description in the lines below. */
const NAME_COLUMNS = 26;

function sectionText({ title, rows }: Section, room: number): string {
  const longest = Math.max(...rows.map(([first = ""]) => first.length));
  const width = room === Infinity ? longest : Math.min(longest, NAME_COLUMNS);
  const lines = rows.flatMap(([first = "", ...rest]) => {
    if (rest.length === 0) return [`  ${first}`];
    const indent = " ".repeat(width + 4);
    const [begin = "", ...more] = wrap(rest.join(" "), Math.max(20, room - indent.length));
    const texts =
      first.length > width
        ? [`  ${first}`, indent + begin]
        : [`  ${first.padEnd(width)}  ${begin}`];
    return [...texts, ...more.map((line) => indent + line)];
  });
  return `${title}:\n${lines.join("\n")}`;
}

const paragraph = (text: string, room: number): string => wrap(text, Math.max(20, room)).join("\n");
