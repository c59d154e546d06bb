/** Where the offsets come from: a file, a guess made before, or one that is made now. */
import { guessForbidden } from "../../explain.ts";
import { loadOffsets, matchesKernel } from "../../guess/file.ts";
import type { GuessReport } from "../../guess/report.ts";
import { guessOn } from "../../guess/run.ts";
import { capabilities, type Host } from "../../kernel/host.ts";
import { notUsed } from "./notes.ts";
import type { TraceOptions } from "../options.ts";

/** `how` ends the description of the trace. A file or a guess that was given and cannot be used is told in `notes`. */
export async function offsetsFor(
  host: Host,
  { offsetsFile, offsets }: TraceOptions,
  notes: string[],
): Promise<{ report: GuessReport; how: string }> {
  const from = offsetsFile ?? "a guess made before";
  const saved = offsetsFile === undefined ? offsets : await loadOffsets(offsetsFile);
  if (saved !== undefined) {
    const why = host.modes.includes(saved.attach)
      ? matchesKernel(saved, host.kernel)
      : `it was guessed with ${saved.attach}s`;
    if (why === null) return { report: saved, how: `offsets from ${from}` };
    notes.push(`${from} is not used, the offsets are guessed: ${why}`);
  }
  const forbidden = guessForbidden(capabilities());
  if (forbidden !== null) throw forbidden;
  const report = guessOn(host, (mode, why) => notes.push(notUsed(mode, why)));
  return { report, how: `offsets guessed in ${Math.round(report.ms)} ms` };
}
