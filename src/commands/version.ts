import { arch, release } from "node:os";
import { name, version } from "../../package.json";
import { print } from "../output/writer.ts";
import { command } from "./command.ts";

export const versionCommand = command({
  description: "print the version",
  flags: {},
  run: printVersion,
});

/** The kernel too, because a report without it helps nobody. */
export async function printVersion(): Promise<void> {
  await print(`${name} ${version} (Bun ${Bun.version}, ${arch()}, Linux ${release()})\n`);
}
