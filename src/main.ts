/** The edge of the process: arguments in, exit code out. Only this file and start.ts end it. */

// First, because it must run before the others are evaluated.
import "./start.ts";
import { programName, root } from "./commands/index.ts";
import { outputColumns } from "./commands/output.ts";
import { resolve } from "./commands/strict.ts";
import { printVersion } from "./commands/version.ts";
import { exitCodeOf, exitCodes, formatError } from "./errors.ts";
import { runtimeFailure } from "./explain.ts";
import { chooseColor, giveTerminalBack, showDebug, tell, tellError } from "./log.ts";
import { print } from "./output/writer.ts";

let debug = false;

async function main(argv: readonly string[]): Promise<number> {
  const resolution = resolve(programName, root, argv, outputColumns);
  if (resolution.kind === "version") {
    await printVersion();
    return exitCodes.done;
  }
  if (resolution.kind === "help") {
    if (!resolution.wrong) await print(resolution.text);
    else tell(resolution.text);
    return resolution.wrong ? exitCodes.usage : exitCodes.done;
  }
  ({ debug } = resolution.common);
  if (debug) showDebug();
  chooseColor(resolution.common.color);
  return (await resolution.command.run?.(resolution.args)) ?? exitCodes.done;
}

function fail(thrown: unknown): never {
  const error = runtimeFailure(thrown);
  giveTerminalBack();
  tellError(formatError(error, debug));
  process.exit(exitCodeOf(error));
}

// A bug in a callback must read like any other error, and must not leave the tracer running half dead.
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);

main(process.argv.slice(2)).then((code) => process.exit(code), fail);
