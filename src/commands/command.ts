/** A command of the tree: citty's definition, plus what our help shows. */

import { runCommand, type ArgDef, type ArgsDef, type CommandDef, type ParsedArgs } from "citty";
import { exitCodes } from "../errors.ts";

export interface Command {
  description: string;
  /** Each a whole command line. */
  examples: readonly string[];
  flags: ArgsDef;
  /** A command has these or `run`. */
  subCommands: Readonly<Record<string, Command>>;
  run: ((args: readonly string[]) => Promise<number>) | null;
}

/** A command that does something: `run` resolves with the exit code, or with nothing for 0. */
export function command<const T extends ArgsDef>(definition: {
  description: string;
  examples?: readonly string[];
  flags: T;
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
  return { description, examples, flags: {}, subCommands, run: null };
}

export function aliasesOf(def: ArgDef): readonly string[] {
  const alias = "alias" in def ? def.alias : undefined;
  return alias === undefined ? [] : [alias].flat();
}

export function valueHintOf(def: ArgDef): string | null {
  return optionsOf(def)?.join("|") ?? def.valueHint ?? null;
}

export function optionsOf(def: ArgDef): readonly string[] | null {
  return ("options" in def ? def.options : undefined) ?? null;
}

export function flagNames(command: Command): string[] {
  return Object.entries(command.flags).flatMap(([flag, def]) =>
    def.type === "positional" ? [] : [flag],
  );
}
