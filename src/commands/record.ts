/** `trace --record FILE`. */

import { release } from "node:os";
import { version } from "../../package.json";
import type { ClockPair } from "../conn/clock.ts";
import { Failure } from "../errors.ts";
import { log } from "../log.ts";
import type { Beside, Watch } from "../output/straight/index.ts";
import { recordedShape } from "../recording/format.ts";
import { openRecorder, type RotatedRecorder } from "../recording/recorder.ts";
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
): Promise<RotatedRecorder | null> {
  if (file === null) return null;
  const session = { tool: version, kernel: release(), description, notes: [...notes] };
  return openRecorder(file, { session, startNs: clocks.monoNs, clocks });
}

/** The listeners to records that become lines; `null`: there are none. */
export function besideLines(
  recorder: Pick<RotatedRecorder, "into"> | null,
  watch: Watch | null,
): Beside | null {
  if (recorder === null && watch === null) return null;
  const recording = recorder && {
    ...recordedShape,
    into: (clocks: ClockPair) => recorder.into(clocks),
  };
  return { recording, watch };
}

/**
 * For SIGHUP, as programs that rotate files send it. `recorder`: of `file`; `null`: nothing is recorded. Says what came of it.
 */
export async function reopenRecording(
  file: string | null,
  recorder: RotatedRecorder | null,
  now: () => ClockPair,
): Promise<void> {
  if (file === null || recorder === null)
    return log.info("SIGHUP: there is no file to open anew; tracing goes on");
  try {
    const { anew, failure } = await recorder.reopen(now);
    if (!anew) log.info(`${file}: it was not renamed, so recording goes on in it`);
    else if (failure === null)
      log.info(`${file}: opened anew; the recording before it is complete`);
    else
      log.warn(
        `${failure.message}: ${failure.why}; it was opened anew, and lacks its last events before`,
      );
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    log.warn(`${error.message}: ${error.why}; recording goes on in the file that was open`);
  }
}
