/**
 * Offsets that are guessed once for all tests of a file, and in a guest for all its files: there a guess takes some three
 * seconds, a third of each start. The self-check of a start runs all the same. These guess anew at each start:
 * offsets.test.ts; trace.test.ts, scenarios.test.ts and open.test.ts, of which each guest for a kernel or a mode of its own
 * runs one; and where a guess meets something: places, network namespaces, a tracer that must be quiet, translation.
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

/** A guest is one kernel from its beginning to its end, and nobody else writes there. */
const ofGuest = process.env["VM_KERNEL"] === undefined ? null : "/tmp/tracer-bpf-guessed";

async function guess(mode: Mode): Promise<string> {
  const file = `${ofGuest ?? ownDirectory()}-${mode}`;
  if (existsSync(file)) return file;
  const { stderr } = await run(["offsets", "guess", "--attach", mode, "--save", file]);
  if (!existsSync(file)) throw new Error(stderr);
  return file;
}

function ownDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-guessed-"));
  process.on("exit", () => rmSync(directory, { recursive: true }));
  return join(directory, "of");
}
