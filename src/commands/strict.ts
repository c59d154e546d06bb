/**
 * The command line, checked before citty sees it. citty lets unknown flags, missing values, repeated flags and
 * spare arguments pass; for a tracer that would be a wrong answer (`trace --pidd 3` would show everything). Pure.
 */

import type { ArgDef } from "citty";
import { UsageError } from "../errors.ts";
import type { ColorMode } from "../log.ts";
import {
  aliasesOf,
  bare,
  behindOf,
  builtins,
  canBeUnwanted,
  flagNames,
  flagsOf,
  ITEM_SEPARATOR,
  optionsOf,
  repeatOf,
  valueHintOf,
  wordsOf,
  type Command,
} from "./command.ts";
import { renderHelp } from "./help.ts";
import { nearest } from "./nearest.ts";

export type Resolution =
  | { kind: "help"; text: string; wrong: boolean }
  | { kind: "version" }
  | { kind: "run"; command: Command; args: string[]; common: Common };

/** The values of the flags that every command has, and of `--debug` where there is one. */
export interface Common {
  debug: boolean;
  color: ColorMode;
}

/** `name` is the program's. `columns`: asked for help alone; see renderHelp. Throws UsageError, with a suggestion where one is near. */
export function resolve(
  name: string,
  root: Command,
  argv: readonly string[],
  columns: () => number | null = () => null,
): Resolution {
  let path = name;
  let command = root;
  let rest = [...argv];
  while (command.run === null) {
    const builtin = findBuiltin(rest.slice(0, firstWord(rest)));
    if (builtin === "version") return { kind: "version" };
    if (builtin === "help")
      return { kind: "help", text: renderHelp(path, command, columns()), wrong: false };
    const [word] = rest;
    if (word === undefined || word === "--") {
      return { kind: "help", text: renderHelp(path, command, columns()), wrong: true };
    }
    const next = Object.hasOwn(command.subCommands, word) ? command.subCommands[word] : undefined;
    // Other tools have a command of this name.
    if (next === undefined && word === HELP) {
      rest = [...rest.slice(1), "--help"];
      continue;
    }
    if (next === undefined) throw unknownWord(path, command, word, rest[1]);
    [path, command, rest] = [`${path} ${word}`, next, rest.slice(1)];
  }
  const builtin = findBuiltin(rest);
  if (builtin === "help")
    return { kind: "help", text: renderHelp(path, command, columns()), wrong: false };
  if (builtin === "version") return { kind: "version" };
  return { kind: "run", command, ...checkArgs(path, command, rest) };
}

function findBuiltin(words: readonly string[]): "help" | "version" | undefined {
  const end = words.indexOf("--");
  const found = words
    .slice(0, end < 0 ? undefined : end)
    .flatMap((word) =>
      builtins.filter(({ short, long }) => word === `-${short}` || word === `--${long}`),
    );
  return found[0]?.kind;
}

function firstWord(words: readonly string[]): number {
  const at = words.findIndex((word) => !word.startsWith("-"));
  return at < 0 ? words.length : at;
}

/** Rewrites the arguments into the one form that citty reads without surprise: `--name=value ... -- words`. */
function checkArgs(path: string, command: Command, given: readonly string[]) {
  const values = new Map<string, string[]>();
  const words: string[] = [];
  let behind: string[] = [];
  const rest = [...given];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      if (behindOf(command) === null) words.push(...rest);
      else behind = commandIn(path, rest);
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
      continue;
    }
    const { flag, def, attached, bundled } = findFlag(path, command, word);
    if (def.type === "boolean") {
      if (attached !== null)
        throw new UsageError(`flag --${flag} takes no value`, { command: path });
      if (bundled !== null) rest.unshift(`-${bundled}`);
      values.set(flag, []);
      continue;
    }
    const value = attached ?? bundled ?? rest.shift() ?? "";
    const items = itemsIn(path, flag, def, value, attached === null && bundled === null);
    values.set(flag, [...earlier(path, flag, def, values.get(flag), value), ...items]);
  }
  checkWords(path, command, words, values);
  return {
    args: [...flagsForCitty(command, values), "--", ...words, ...behind],
    common: commonOf(values),
  };
}

/** The command behind `--`. */
function commandIn(path: string, words: string[]): string[] {
  if (words.length > 0 && words[0] !== "") return words;
  throw new UsageError("the command behind -- is missing", {
    command: path,
    suggestion: `${path} -- curl http://localhost`,
  });
}

function flagsForCitty(command: Command, values: ReadonlyMap<string, string[]>): string[] {
  return [...values].flatMap(([flag, items]) => {
    const def = command.flags[flag];
    if (def === undefined) return [];
    if (def.type !== "boolean") return [`--${flag}=${items.join(ITEM_SEPARATOR)}`];
    // citty takes --no-header for the opposite of --header.
    return [flag.startsWith("no-") ? `-${aliasesOf(def)[0]}` : `--${flag}`];
  });
}

function commonOf(values: ReadonlyMap<string, string[]>): Common {
  const color = values.get("color")?.[0];
  return {
    debug: values.has("debug"),
    color: color === "always" || color === "never" ? color : "auto",
  };
}

/** `--name`, `--name=value`, `-x`, `-x=value` and `-xrest`, where the rest is a value or, after a boolean, more flags. */
function findFlag(path: string, command: Command, word: string) {
  const long = word.startsWith("--");
  const [, name = "", equals, rest = ""] =
    (long ? /^--([^=]*)(=)?(.*)$/s : /^-(.)(=)?(.*)$/su).exec(word) ?? [];
  for (const [flag, def] of flagsOf(command)) {
    if (!(long ? flag === name : aliasesOf(def).includes(name))) continue;
    const attached = equals === undefined ? null : rest;
    return { flag, def, attached, bundled: equals === undefined && rest !== "" ? rest : null };
  }
  throw unknownFlag(path, command, long ? `--${name}` : `-${name}`);
}

/** The value, or with `repeat: "list"` the values. */
function itemsIn(
  path: string,
  flag: string,
  def: ArgDef,
  value: string,
  apart: boolean,
): readonly string[] {
  // A word that begins with `-` is far more often the next flag than a value; `--flag=-x` says otherwise.
  if (value === "" || (apart && value.startsWith("-") && value !== "-")) {
    throw new UsageError(`flag --${flag} needs a value`, {
      command: path,
      ...(value !== "" && { why: `"${value}" reads as a flag; else write --${flag}=${value}` }),
      suggestion: `--${flag} ${valueHintOf(def) ?? "VALUE"}`,
    });
  }
  const items = repeatOf(def) === "list" ? value.split(",") : [value];
  if (items.includes("")) {
    const suggestion = `--${flag} ${items.filter((item) => item !== "").join(",")}`;
    throw new UsageError(`flag --${flag}: "${value}" has an empty item`, {
      command: path,
      suggestion: suggestion.endsWith(" ") ? null : suggestion,
    });
  }
  const options = optionsOf(def) ?? items;
  const wrong = items.find((item) => !options.includes(canBeUnwanted(def) ? bare(item) : item));
  if (wrong !== undefined)
    throw noneOf(path, `flag --${flag}`, wrong, options, (near) => {
      const not = canBeUnwanted(def) && wrong.startsWith("!") ? "!" : "";
      return `--${flag} ${not}${near}`;
    });
  return items;
}

/** The values given to the flag before, if it may be repeated. */
function earlier(
  path: string,
  flag: string,
  def: ArgDef,
  before: string[] | undefined,
  value: string,
): readonly string[] {
  if (before === undefined || repeatOf(def) !== null) return before ?? [];
  const what = `flag --${flag} given twice (${before.join()} and ${value})`;
  throw new UsageError(what, { command: path, suggestion: "give it once" });
}

function noneOf(
  path: string,
  what: string,
  value: string,
  options: readonly string[],
  spell: (option: string) => string,
): UsageError {
  const near = nearest(value, options);
  return new UsageError(`${what}: "${value}" is none of ${options.join(", ")}`, {
    command: path,
    suggestion: near === null ? null : spell(near),
  });
}

function checkWords(
  path: string,
  command: Command,
  words: readonly string[],
  values: ReadonlyMap<string, unknown>,
): void {
  const positionals = wordsOf(command);
  const extra = words[positionals.length];
  if (extra !== undefined) {
    const near = nearest(extra, flagNames(command));
    const behind =
      behindOf(command) === null || extra === HELP ? null : `${path} -- ${words.join(" ")}`;
    throw new UsageError(`argument "${extra}" is one too many`, {
      command: path,
      suggestion: near === null ? behind : `--${near}`,
    });
  }
  const missing = positionals[words.length];
  if (missing !== undefined && missing[1].required !== false) {
    const instead = optionsOf(missing[1])?.join("|") ?? missing[0].toUpperCase();
    throw new UsageError(`argument ${missing[0].toUpperCase()} is missing`, {
      command: path,
      suggestion: `${path} ${instead}`,
    });
  }
  for (const [i, [name, def]] of positionals.entries()) {
    const [word, options] = [words[i], optionsOf(def)];
    if (word === undefined || options === null || options.includes(word)) continue;
    throw noneOf(
      path,
      `argument ${name.toUpperCase()}`,
      word,
      options,
      (near) => `${path} ${near}`,
    );
  }
  for (const [flag, def] of flagsOf(command)) {
    if (def.required !== true || values.has(flag)) continue;
    throw new UsageError(`flag --${flag} is missing`, {
      command: path,
      suggestion: `${path} --${flag} ${valueHintOf(def) ?? "VALUE"}`,
    });
  }
}

/** In front of a command the same as --help behind it. */
const HELP = "help";

function unknownFlag(path: string, command: Command, flag: string): UsageError {
  const words = [...flagNames(command), ...builtins.map(({ long }) => long)];
  const bare = flag.replace(/^-+/, "");
  const near = nearest(bare, words) ?? nearest(bare.replace(/^no-/, ""), words);
  return new UsageError(`unknown flag ${flag}`, {
    command: path,
    suggestion: near === null ? null : `--${near}`,
  });
}

/** Also a flag in front of the sub-command it belongs to: `tracer-bpf --json trace`. */
function unknownWord(
  path: string,
  command: Command,
  word: string,
  next: string | undefined,
): UsageError {
  const names = Object.keys(command.subCommands);
  if (!word.startsWith("-")) {
    const near = nearest(word, names);
    return new UsageError(`unknown command "${word}"`, {
      command: path,
      suggestion: near === null ? names.join(", ") : `${path} ${near}`,
    });
  }
  const owner = next !== undefined && names.includes(next) ? next : null;
  return new UsageError(`unknown flag ${word}`, {
    command: path,
    suggestion: owner === null ? null : `${path} ${owner} ${word}`,
  });
}
