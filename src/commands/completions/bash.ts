/** The completion script for bash (4 and later), which needs no bash-completion. Pure. */

import {
  aliasesOf,
  behindOf,
  builtins,
  everyCommand,
  flagsOf,
  offerOf,
  repeatOf,
  wordsOf,
  type Command,
} from "../command.ts";

export function bashScript(name: string, root: Command): string {
  const commands = everyCommand(root);
  const offers = commands.map(
    ({ words, command }) => `    "${words.join(" ")}") ${offersOf(command)} ;;`,
  );
  const values = commands.flatMap(({ words, command }) => valuesOf(words.join(" "), command));
  const paths = commands.flatMap(({ words }) =>
    words.length === 0 ? [] : [`"${words.join(" ")}"`],
  );
  return `# bash completion for ${name}: source it, or put it into /usr/share/bash-completion/completions/${name}
_tracer_bpf() {
    local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
    local path="" before="" flags="" words="" behind="" i
    # --flag=value comes as three words.
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]]; then
        prev=\${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ \${COMP_WORDS[i]} == "--" ]] && break
        case "\${path:+$path }\${COMP_WORDS[i]}" in
        ${paths.join("|")})
            path="\${path:+$path }\${COMP_WORDS[i]}" ;;
        esac
    done
    case "$path" in
${offers.join("\n")}
    esac
    if ((i < COMP_CWORD)); then
        # Behind -- no flag is ours.
        flags="" prev=""
        if [[ $behind ]]; then
            _tracer_bpf_behind $((i + 1))
            return
        fi
    fi
    case "$path $prev" in
${values.join("\n")}
    *) [[ $cur == -* ]] && words=$flags ;;
    esac
    if [[ $words == "<list>"* ]]; then
        words=\${words#<list>}
        [[ $cur == *,* ]] && before="\${cur%,*}," && cur=\${cur##*,}
    fi
    if [[ $words == "<files>" ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "$cur")
    fi
}
# Another command and its own words, from this place on.
_tracer_bpf_behind() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "\${COMP_WORDS[COMP_CWORD]}")
    else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")
    fi
}
complete -F _tracer_bpf ${name}
`;
}

// --- internal ---

/** Words that can stand where no value of a flag is expected. */
function offersOf(command: Command): string {
  const flags = [
    ...flagsOf(command).flatMap(([flag, def]) => [
      `--${flag}`,
      ...aliasesOf(def).map((alias) => `-${alias}`),
    ]),
    ...builtins.flatMap(({ long, short }) => [`--${long}`, `-${short}`]),
  ];
  const words = [
    ...Object.keys(command.subCommands),
    ...wordsOf(command).map(([, def]) => offerText(offerOf(def))),
  ];
  const behind = behindOf(command) === null ? "" : " behind=yes";
  return `flags="${flags.join(" ")}" words="${words.join(" ")}"${behind}`;
}

/** The values of a flag; a flag that takes any value has no offer, rather than the wrong one. */
function valuesOf(path: string, command: Command): string[] {
  return flagsOf(command)
    .filter(([, { type }]) => type !== "boolean")
    .map(([flag, def]) => {
      const spellings = [`--${flag}`, ...aliasesOf(def).map((alias) => `-${alias}`)];
      const list = repeatOf(def) === "list" ? "<list>" : "";
      const cases = spellings.map((spelling) => `"${path} ${spelling}"`).join("|");
      return `    ${cases}) words="${list}${offerText(offerOf(def))}" ;;`;
    });
}

const offerText = (offer: ReturnType<typeof offerOf>): string =>
  offer === "files" ? "<files>" : (offer ?? []).join(" ");
