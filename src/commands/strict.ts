/**
 * The command line, checked before citty sees it. citty lets unknown flags, missing values, repeated flags and
 * spare arguments pass; for a tracer that would be a wrong answer (`trace --pidd 3` would show everything). Pure.
 */

import type { ArgDef } from "citty";
import { UsageError } from "../errors.ts";
import { aliasesOf, flagNames, optionsOf, valueHintOf, type Command } from "./command.ts";
import { renderHelp } from "./help.ts";
import { nearest } from "./nearest.ts";

export type Resolution =
  | { kind: "help"; text: string; wrong: boolean }
  | { kind: "version" }
  | { kind: "run"; command: Command; args: string[]; debug: boolean };

/** `name` is the program's. Throws UsageError, with a suggestion where one is near. */
export function resolve(name: string, root: Command, argv: readonly string[]): Resolution {
  let path = name;
  let command = root;
  let rest = [...argv];
  while (command.run === null) {
    const builtin = findBuiltin(rest.slice(0, firstWord(rest)));
    if (builtin === "version") return { kind: "version" };
    if (builtin === "help") return { kind: "help", text: renderHelp(path, command), wrong: false };
    const [word] = rest;
    if (word === undefined || word === "--") {
      return { kind: "help", text: renderHelp(path, command), wrong: true };
    }
    const next = Object.hasOwn(command.subCommands, word) ? command.subCommands[word] : undefined;
    if (next === undefined) throw unknownWord(path, command, word, rest[1]);
    [path, command, rest] = [`${path} ${word}`, next, rest.slice(1)];
  }
  const builtin = findBuiltin(rest);
  if (builtin === "help") return { kind: "help", text: renderHelp(path, command), wrong: false };
  if (builtin === "version") return { kind: "version" };
  const { args, debug } = checkArgs(path, command, rest);
  return { kind: "run", command, args, debug };
}

/** Understood everywhere, so that nobody has to know where they belong. */
const builtins: Readonly<Record<string, "help" | "version">> = {
  "--help": "help",
  "-h": "help",
  "--version": "version",
  "-V": "version",
};

function findBuiltin(words: readonly string[]): "help" | "version" | undefined {
  const end = words.indexOf("--");
  const found = words
    .slice(0, end < 0 ? undefined : end)
    .find((word) => Object.hasOwn(builtins, word));
  return found === undefined ? undefined : builtins[found];
}

function firstWord(words: readonly string[]): number {
  const at = words.findIndex((word) => !word.startsWith("-"));
  return at < 0 ? words.length : at;
}

/** Rewrites the arguments into the one form that citty reads without surprise: `--name=value ... -- words`. */
function checkArgs(path: string, command: Command, rest: readonly string[]) {
  const values = new Map<string, string | true>();
  const words: string[] = [];
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i] ?? "";
    if (word === "--") {
      words.push(...rest.slice(i + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
      continue;
    }
    const { flag, def, attached } = findFlag(path, command, word);
    if (def.type === "boolean") {
      if (attached !== null)
        throw new UsageError(`flag --${flag} takes no value`, { command: path });
      values.set(flag, true);
      continue;
    }
    const value = attached ?? rest[++i] ?? "";
    checkValue(path, flag, def, value, attached !== null);
    const before = values.get(flag);
    if (before !== undefined) {
      const what = `flag --${flag} given twice (${before.toString()} and ${value})`;
      throw new UsageError(what, { command: path, suggestion: "give it once" });
    }
    values.set(flag, value);
  }
  checkWords(path, command, words, values);
  const flags = [...values].map(([flag, value]) =>
    value === true ? `--${flag}` : `--${flag}=${value}`,
  );
  return { args: [...flags, "--", ...words], debug: values.has("debug") };
}

/** `--name`, `--name=value`, `-x`, `-xvalue` and `-x=value`. */
function findFlag(path: string, command: Command, word: string) {
  const [, name = "", value] =
    (word.startsWith("--") ? /^--([^=]*)(?:=(.*))?$/s : /^-(.)=?(.*)$/su).exec(word) ?? [];
  const long = word.startsWith("--");
  const attached = value === undefined || (!long && value === "") ? null : value;
  for (const [flag, def] of Object.entries(command.flags)) {
    if (def.type === "positional") continue;
    if (long ? flag === name : aliasesOf(def).includes(name)) return { flag, def, attached };
  }
  throw unknownFlag(path, command, long ? `--${name}` : `-${name}`);
}

function checkValue(
  path: string,
  flag: string,
  def: ArgDef,
  value: string,
  attached: boolean,
): void {
  // What begins with `-` is far more often the next flag than a value; `--flag=-x` says otherwise.
  if (value === "" || (!attached && value.startsWith("-") && value !== "-")) {
    throw new UsageError(`flag --${flag} needs a value`, {
      command: path,
      suggestion: `--${flag} ${valueHintOf(def) ?? "VALUE"}`,
    });
  }
  const options = optionsOf(def);
  if (options === null || options.includes(value)) return;
  const near = nearest(value, options);
  throw new UsageError(`flag --${flag}: "${value}" is none of ${options.join(", ")}`, {
    command: path,
    suggestion: near === null ? null : `--${flag} ${near}`,
  });
}

function checkWords(
  path: string,
  command: Command,
  words: readonly string[],
  values: ReadonlyMap<string, unknown>,
): void {
  const positionals = Object.entries(command.flags).filter(([, def]) => def.type === "positional");
  const extra = words[positionals.length];
  if (extra !== undefined) {
    const near = nearest(extra, flagNames(command));
    throw new UsageError(`argument "${extra}" is one too many`, {
      command: path,
      suggestion: near === null ? null : `--${near}`,
    });
  }
  const missing = positionals[words.length];
  if (missing !== undefined && missing[1].required !== false) {
    throw new UsageError(`argument ${missing[0].toUpperCase()} is missing`, {
      command: path,
      suggestion: `${path} ${missing[0].toUpperCase()}`,
    });
  }
  for (const [flag, def] of Object.entries(command.flags)) {
    if (def.type === "positional" || def.required !== true || values.has(flag)) continue;
    throw new UsageError(`flag --${flag} is missing`, {
      command: path,
      suggestion: `${path} --${flag} ${valueHintOf(def) ?? "VALUE"}`,
    });
  }
}

function unknownFlag(path: string, command: Command, flag: string): UsageError {
  const near = nearest(flag.replace(/^-+(no-)?/, ""), [...flagNames(command), "help", "version"]);
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
