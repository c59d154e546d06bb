/** The completion script for fish: to be sourced, or a file NAME.fish in ~/.config/fish/completions. Pure. */

import type { ArgDef } from "citty";
import {
  aliasesOf,
  behindOf,
  builtins,
  everyCommand,
  flagsOf,
  offerOf,
  wordsOf,
  type Command,
} from "../command.ts";

export function fishScript(name: string, root: Command): string {
  const lines = everyCommand(root).flatMap(({ words, command }) => {
    const here = conditionOf(words, command);
    return [
      ...Object.entries(command.subCommands).map(([sub, { description }]) =>
        line(name, here, `-a ${sub}`, description),
      ),
      ...wordsOf(command).flatMap(([, def]) => {
        const offer = offerOf(def);
        if (offer === null) return [];
        return [line(name, here, offer === "files" ? "-F" : `-a ${quoted(offer.join(" "))}`, "")];
      }),
      ...(behindOf(command) === null
        ? []
        : [line(name, `${here}; and __tracer_bpf_is_behind`, "-a '(__tracer_bpf_behind)'", "")]),
      ...flagsOf(command).map(([flag, def]) =>
        line(name, here, `${spelled(flag, aliasesOf(def))}${valueOf(def)}`, def.description ?? ""),
      ),
    ];
  });
  const everywhere = builtins.map(({ short, long, description }) =>
    line(name, null, spelled(long, [short]), description),
  );
  return `# fish completion for ${name}: source it, or put it into ~/.config/fish/completions/${name}.fish
function __tracer_bpf_is_behind
    contains -- -- (commandline -opc)
end
# Another command and its own words.
function __tracer_bpf_behind
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -l before (string escape -- $words[(math $at + 1)..-1])
    complete -C (string join ' ' -- $before (commandline -ct))
end
complete -c ${name} -f
${[...everywhere, ...lines].join("\n")}
`;
}

// --- internal ---

function conditionOf(words: readonly string[], { subCommands }: Command): string {
  const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
  const below = Object.keys(subCommands).join(" ");
  const end = below === "" ? [] : [`not __fish_seen_subcommand_from ${below}`];
  return [...seen, ...end].join("; and ");
}

function line(name: string, condition: string | null, what: string, description: string): string {
  const when = condition === null ? "" : ` -n ${quoted(condition)}`;
  const text = description === "" ? "" : ` -d ${quoted(description)}`;
  return `complete -c ${name}${when} ${what}${text}`;
}

const spelled = (long: string, shorts: readonly string[]): string =>
  `${shorts.map((short) => `-s ${short} `).join("")}-l ${long}`;

/** -x: needs a value and offers no files; -r -F: needs a value and offers them. */
function valueOf(def: ArgDef): string {
  if (def.type === "boolean") return "";
  const offer = offerOf(def);
  if (offer === "files") return " -r -F";
  return offer === null ? " -x" : ` -x -a ${quoted(offer.join(" "))}`;
}

const quoted = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;
