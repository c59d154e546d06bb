/** A build step: run when its inputs, its recipe or its outputs are not those of the last time. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

export interface Step {
  name: string;
  inputs: readonly string[];
  outputs: readonly string[];
  /** Anything else that decides the result: command lines, versions. */
  recipe: string;
  run: () => void | Promise<void>;
}

const STAMPS = "dist/.stamps";

/** Prints one line: what was done and how long it took. */
export async function build(step: Step): Promise<void> {
  const stamp = `${STAMPS}/${step.name.replaceAll(/\W+/g, "-")}`;
  const key = keyOf(step);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === `${key} ${shapeOf(step.outputs)}`) {
    say(step.name, "unchanged");
    return;
  }
  const start = performance.now();
  await step.run();
  mkdirSync(STAMPS, { recursive: true });
  writeFileSync(stamp, `${key} ${shapeOf(step.outputs)}`);
  say(step.name, `${((performance.now() - start) / 1000).toFixed(2)} s`);
}

/** Runs a command; its output is shown only when it fails. */
export function run(command: readonly string[], options: { cwd?: string } = {}): string {
  const child = Bun.spawnSync([...command], { ...options, stdin: "ignore", stderr: "pipe" });
  if (child.success) return child.stdout.toString();
  throw failed(command, child.exitCode, `${child.stdout.toString()}${child.stderr.toString()}`);
}

/** The same while other steps go on: for those that take seconds. */
export async function runBeside(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const printed = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw failed(command, child.exitCode, printed.join(""));
}

/** Already says what to do; its stack would not help. */
export class BuildError extends Error {}

export const say = (what: string, result: string): void =>
  console.error(`  ${what.padEnd(28)} ${result}`);

const failed = (command: readonly string[], exitCode: number | null, printed: string) =>
  new BuildError(
    `${basename(command[0]!)} failed (exit ${exitCode})\n  ${command.join(" ")}\n${printed}`,
  );

function keyOf(step: Step): string {
  const hash = new Bun.CryptoHasher("sha256").update(step.recipe);
  for (const input of step.inputs) hash.update(`\0${input}\0`).update(readFileSync(input));
  return hash.digest("hex");
}

/** Notices an output that was deleted or replaced, without reading 100 MB. */
function shapeOf(outputs: readonly string[]): string {
  return outputs
    .map((path) => statSync(path, { throwIfNoEntry: false }))
    .map((file) => (file ? `${file.size}@${file.mtimeMs}` : "missing"))
    .join(" ");
}
