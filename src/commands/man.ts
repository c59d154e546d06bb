import { version } from "../../package.json";
import { print } from "../output/writer.ts";
import { command, type Command } from "./command.ts";
import { manualPage } from "./manual.ts";

/** `root` is asked for later: this command is itself a part of the tree. */
export const manCommand = (name: string, root: () => Command): Command =>
  command({
    description: "print the manual page",
    examples: [`${name} man | man -l -`, `${name} man > /usr/local/share/man/man8/${name}.8`],
    flags: {},
    run: () => print(manualPage(name, version, root())),
  });
