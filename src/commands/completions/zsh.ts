/** The completion script for zsh: to be sourced, or a file _NAME in fpath. Pure. */

import type { ArgDef } from "citty";
import {
  aliasesOf,
  behindOf,
  builtins,
  everyCommand,
  flagsOf,
  offerOf,
  repeatOf,
  valueHintOf,
  wordsOf,
  type Command,
} from "../command.ts";

export function zshScript(name: string, root: Command): string {
  const functions = everyCommand(root).map(({ words, command }) => {
    const called = ["", name, ...words].join("_");
    return command.run === null
      ? groupFunction(called, command)
      : leafFunction(name, called, command);
  });
  return `#compdef ${name}
# zsh completion for ${name}: source it, or put it into a directory of fpath as _${name}
${functions.join("\n")}
# Behind -- another command and its own words.
_${name}__behind() {
  local -i at=\${words[(i)--]}
  (( at < CURRENT )) || return 1
  shift $at words
  (( CURRENT -= at ))
  _normal
  return 0
}
if [ "$funcstack[1]" = "_${name}" ]; then
  _${name} "$@"
else
  compdef _${name} ${name}
fi
`;
}

// --- internal ---

function groupFunction(called: string, command: Command): string {
  const rows = Object.entries(command.subCommands);
  const commands = rows.map(([name, { description }]) => quoted(`${name}:${description}`));
  return `${called}() {
  local curcontext=$curcontext state line
  # Not \`commands\`, which is zsh's own table of what can be run.
  local -a subcommands
  subcommands=(
    ${commands.join("\n    ")}
  )
  _arguments -C ${builtinSpecs().join(" ")} '1: :->command' '*:: :->argument'
  case $state in
    command) _describe -t commands command subcommands ;;
    argument)
      case $line[1] in
${rows.map(([name]) => `        ${name}) ${called}_${name} ;;`).join("\n")}
      esac ;;
  esac
}`;
}

function leafFunction(name: string, called: string, command: Command): string {
  const specs = [
    ...flagsOf(command).map(([flag, def]) => flagSpec(flag, def)),
    ...builtinSpecs(),
    ...wordsOf(command).map(([word, def], i) =>
      quoted(`${i + 1}:${word}:${actionOf(offerOf(def))}`),
    ),
  ];
  return `${called}() {
${behindOf(command) === null ? "" : `  _${name}__behind && return\n`}  _arguments -s -S \\
    ${specs.join(" \\\n    ")}
}`;
}

function flagSpec(flag: string, def: ArgDef): string {
  const names = [...aliasesOf(def).map((alias) => `-${alias}`), `--${flag}`];
  const repeats = repeatOf(def) !== null;
  const value =
    def.type === "boolean" ? "" : `:${escaped(valueHintOf(def) ?? "value")}:${listAction(def)}`;
  const what = `[${escaped(def.description ?? "")}]${value}`;
  // A long name takes its value after = or as the next word.
  return spec(names, repeats, def.type !== "boolean", what);
}

const builtinSpecs = (): string[] =>
  builtins.map(({ short, long, description }) =>
    spec([`-${short}`, `--${long}`], false, false, `[${escaped(description)}]`),
  );

function spec(names: readonly string[], repeats: boolean, valued: boolean, what: string): string {
  const excluded = repeats ? "*" : `(${names.join(" ")})`;
  const forms = names.map((name) => (valued && name.startsWith("--") ? `${name}=` : name));
  const spelled = forms.length === 1 ? (forms[0] ?? "") : `{${forms.join(",")}}`;
  // Braces expand only outside of quotes.
  return `${quoted(excluded)}${spelled}${quoted(what)}`;
}

function listAction(def: ArgDef): string {
  const offer = offerOf(def);
  return repeatOf(def) === "list" && Array.isArray(offer)
    ? `_values -s , value ${offer.join(" ")}`
    : actionOf(offer);
}

const actionOf = (offer: ReturnType<typeof offerOf>): string =>
  offer === "files" ? "_files" : offer === null ? " " : `(${offer.join(" ")})`;

/** For _arguments, which reads brackets and colons. */
const escaped = (text: string): string => text.replace(/[\\[\]:]/g, "\\$&");

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
