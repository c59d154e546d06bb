/**
 * Offsets that are guessed once for all tests of a file: in an emulated guest a guess takes a third of each start. The traces
 * of traced.ts guess anew, and so do the tests of the guess.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mode } from "./modes.ts";
import { run, Tracer } from "./tracer.ts";

const files = new Map<Mode, Promise<string>>();

/** The file that holds them. */
export function guessed(mode: Mode): Promise<string> {
  const file = files.get(mode) ?? guess(mode);
  files.set(mode, file);
  return file;
}

/** As Tracer.start. */
export async function startGuessed(
  mode: Mode,
  args: string[] = [],
  prefix: string[] = [],
): Promise<Tracer> {
  return await Tracer.start(mode, ["--offsets", await guessed(mode), ...args], prefix);
}

// --- internal ---

async function guess(mode: Mode): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-guessed-"));
  process.on("exit", () => rmSync(directory, { recursive: true }));
  const file = join(directory, mode);
  const { stderr } = await run(["offsets", "guess", "--attach", mode, "--save", file]);
  if (!existsSync(file)) throw new Error(stderr);
  return file;
}
