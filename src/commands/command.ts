/** A command of the tree: citty's definition, plus what our help shows. */

import { runCommand, type ArgDef, type ArgsDef, type CommandDef, type ParsedArgs } from "citty";
import { exitCodes } from "../errors.ts";
import type { Legend } from "../output/legend.ts";

export interface Command {
  description: string;
  /** Each a whole command line. */
  examples: readonly string[];
  flags: ArgsDef;
  /** Terms of the output and their meanings, for the help. */
  legends: readonly Legend[];
  /** A command has these or `run`. */
  subCommands: Readonly<Record<string, Command>>;
  run: ((args: readonly string[]) => Promise<number>) | null;
}

/** A command that does something: `run` resolves with the exit code, or with nothing for 0. */
export function command<const T extends ArgsDef>(definition: {
  description: string;
  examples?: readonly string[];
  flags: T;
  legends?: readonly Legend[];
  run(args: ParsedArgs<T>): Promise<number | void> | number | void;
}): Command {
  const citty: CommandDef<T> = {
    args: definition.flags,
    run: ({ args }) => definition.run(args),
  };
  return {
    description: definition.description,
    examples: definition.examples ?? [],
    flags: definition.flags,
    legends: definition.legends ?? [],
    subCommands: {},
    run: async (rawArgs) => {
      const { result } = await runCommand(citty, { rawArgs: [...rawArgs] });
      return typeof result === "number" ? result : exitCodes.done;
    },
  };
}

/** A command that only holds others. */
export function group(
  description: string,
  subCommands: Readonly<Record<string, Command>>,
  examples: readonly string[] = [],
): Command {
  return { description, examples, flags: {}, legends: [], subCommands, run: null };
}

/**
 * A property for which citty has no word, beside its own:
 * `repeat: "values"`: may be given several times; `repeat: "list"`: each time also several values with commas between.
 * The command gets them all in one string, which `itemsOf` takes apart.
 */
export type Repeat = "values" | "list";

export function repeatOf(def: ArgDef): Repeat | null {
  return "repeat" in def ? (def.repeat as Repeat) : null;
}

/** A property of lists with options: `unwanted: true`, where a value may have `!` in front. */
export const canBeUnwanted = (def: ArgDef): boolean => "unwanted" in def;

/** A value without the `!` in front that says it is not wanted. */
export const bare = (item: string): string => item.replace(/^!/, "");

/**
 * A second property for which citty has no word: `title`. Flags of one title stand together in the help, in the order in which
 * the command has them.
 */
export const titled = <const T extends ArgsDef>(title: string, flags: T): T =>
  Object.fromEntries(
    Object.entries(flags).map(([name, def]) => [name, { ...def, title }]),
  ) as unknown as T;

export const titleOf = (def: ArgDef): string | null =>
  "title" in def ? (def.title as string) : null;

/** No argument can hold it. */
export const ITEM_SEPARATOR = "\0";

/** All values of a flag with `repeat`; none if it was not given. */
export const itemsOf = (value: string | undefined): string[] =>
  value === undefined ? [] : value.split(ITEM_SEPARATOR);

export function aliasesOf(def: ArgDef): readonly string[] {
  const alias = "alias" in def ? def.alias : undefined;
  return alias === undefined ? [] : [alias].flat();
}

export function valueHintOf(def: ArgDef): string | null {
  return def.valueHint ?? optionsOf(def)?.join("|") ?? null;
}

export function optionsOf(def: ArgDef): readonly string[] | null {
  return "options" in def ? ((def.options as readonly string[] | undefined) ?? null) : null;
}

type Named = [name: string, def: ArgDef];

/** `behind: true` on a positional: it is another command with its own flags, and stands behind `--` only. */
const isBehind = (def: ArgDef): boolean => "behind" in def && def.behind === true;

const isWord = ([, { type }]: Named): boolean => type === "positional";

/** The command behind `--`, if one can be given. */
export const behindOf = (command: Command): Named | null =>
  Object.entries(command.flags).find(([, def]) => isBehind(def)) ?? null;

/** The arguments that are given by their place. */
export const wordsOf = (command: Command): Named[] =>
  Object.entries(command.flags).filter((word) => isWord(word) && !isBehind(word[1]));

/** The arguments that begin with a dash; the flags of every command are among them. */
export const flagsOf = (command: Command): Named[] => [
  ...Object.entries(command.flags).filter((flag) => !isWord(flag)),
  ...(command.run === null ? [] : Object.entries(commonFlags)),
];

export const flagNames = (command: Command): string[] => flagsOf(command).map(([name]) => name);

/** Understood by every command; never handed on to it. */
export const commonFlags = {
  color: {
    type: "enum",
    options: ["auto", "always", "never"] as string[],
    description: "colors: auto is on a terminal, unless NO_COLOR is set or TERM is dumb",
  },
} satisfies ArgsDef;

/** Understood everywhere, so that nobody has to know where they belong; `short` and `long` without their dashes. */
export const builtins = [
  { kind: "help", short: "h", long: "help", description: "print this help" },
  { kind: "version", short: "V", long: "version", description: "print the version" },
] as const;

/** A command and all below it, each with the words that lead to it. */
export function everyCommand(
  command: Command,
  words: readonly string[] = [],
): { words: readonly string[]; command: Command }[] {
  const below = Object.entries(command.subCommands);
  return [
    { words, command },
    ...below.flatMap(([name, sub]) => everyCommand(sub, [...words, name])),
  ];
}

/** The offer of a completion for a value: some words, files, or nothing. */
export function offerOf(def: ArgDef): readonly string[] | "files" | null {
  return optionsOf(def) ?? (def.valueHint === "FILE" ? "files" : null);
}
