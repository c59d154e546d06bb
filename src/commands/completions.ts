import { print } from "../output/writer.ts";
import { command, type Command } from "./command.ts";
import { bashScript } from "./completions/bash.ts";
import { fishScript } from "./completions/fish.ts";
import { zshScript } from "./completions/zsh.ts";

/** To add a shell, add a row. */
const shells: Readonly<Record<string, (name: string, root: Command) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** `root` is asked for later: this command is itself a part of the tree. */
export const completionsCommand = (name: string, root: () => Command): Command =>
  command({
    description: "print the completion script for a shell",
    examples: [
      `source <(${name} completions bash)`,
      `${name} completions zsh > /usr/local/share/zsh/site-functions/_${name}`,
      `${name} completions fish > ~/.config/fish/completions/${name}.fish`,
    ],
    flags: {
      shell: {
        type: "positional",
        description: "bash, zsh or fish",
        required: true,
        options: Object.keys(shells),
      },
    },
    run: (args) => print(shells[args.shell]!(name, root())),
  });
