/** `trace --record FILE`. */

import { release } from "node:os";
import { version } from "../../package.json";
import type { ClockPair } from "../conn/clock.ts";
import { openRecorder, type Recorder } from "../recording/recorder.ts";
import type { Trace } from "../trace/trace.ts";
import { namedFile } from "./flags.ts";

export const recordFlag = {
  type: "string",
  valueHint: "FILE",
  description: "also append the events to FILE, for tracer-bpf replay",
} as const;

/** Checked before anything is opened; `null`: no recording is wanted. */
export function recordFile(file: string | undefined, command: string): string | null {
  const instead = "--record FILE, and --json for stdout";
  return file === undefined ? null : namedFile(file, { flag: "record", command, instead });
}

/** Throws a Failure if the file cannot be had. */
export async function recordTrace(
  file: string | null,
  { description, notes }: Pick<Trace, "description" | "notes">,
  clocks: ClockPair,
): Promise<Recorder | null> {
  if (file === null) return null;
  const session = { tool: version, kernel: release(), description, notes: [...notes] };
  return openRecorder(file, { session, startNs: clocks.monoNs, clocks });
}
