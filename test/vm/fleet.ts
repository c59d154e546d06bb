// Several kernels, a few at a time.
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { type Outcome, type Request, runInGuest } from "./lab.ts";
import { failedLines } from "./report.ts";

/** Two guests on two processors: more only slow each other down until their tests' timeouts. */
const guestsAtATime = Number(process.env["VM_GUESTS"] || 0) || Math.min(2, availableParallelism());

/** Runs the same request on each kernel; see `runAll`. */
export function runOnEach(
  kernels: readonly string[],
  request: Omit<Request, "kernel">,
): Promise<Outcome[]> {
  return runAll(kernels.map((kernel) => ({ ...request, kernel })));
}

/** Outcomes come in the requests' order. Never throws. */
export async function runAll(requests: readonly Request[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const waiting = requests.entries();
  const worker = async () => {
    // One iterator for all workers: each takes the next guest that nobody has.
    for (const [place, request] of waiting) {
      const { kernel } = request;
      console.error(`vm: ${request.logName ?? kernel}: starting`);
      const outcome = await runInGuest(request).catch((error: Error) => failedToRun(kernel, error));
      outcomes[place] = outcome;
      console.error(`vm: ${describe(outcome)}`);
    }
  };
  await Promise.all(Array.from({ length: guestsAtATime }, worker));
  return outcomes;
}

/** One line of progress, with everything that went wrong below it. */
export function describe(outcome: Outcome): string {
  if (outcome.state === "absent") return `${outcome.kernel}: no longer in Debian's archive`;
  const { kernel, release, passed, failed, skipped, seconds, bootSeconds } = outcome;
  const skips = skipped > 0 ? `, ${skipped} skipped` : "";
  const boot = bootSeconds === undefined ? "" : ` (booted in ${bootSeconds.toFixed(1)} s)`;
  const line = `${kernel}: ${passed} passed, ${failed} failed${skips}, ${seconds.toFixed(0)} s${boot} on ${release || "?"}`;
  const remarks = outcome.remarks.map((remark) => `    ${remark.replaceAll("\n", "\n    ")}`);
  return [line, ...times(outcome), ...remarks, ...(failed > 0 ? failures(outcome) : [])].join("\n");
}

/** Of a log in which no test failed, though the guest did. */
const LAST_LINES = 60;

/** The seconds of each file, the longest first: a test that became slow is seen in each run. */
function times({ files }: Outcome): string[] {
  if (files.length < 2) return [];
  const shown = files
    .toSorted((a, b) => b.seconds - a.seconds)
    .map(({ name, seconds }) => `${basename(name, ".test.ts")} ${seconds.toFixed(0)}`);
  return [`    seconds: ${shown.join(", ")}`];
}

/** A test that failed is shown with its reason. Without any, the log's end tells: a file crashed or hung. */
function failures({ log, logFile }: Outcome): string[] {
  const failed = failedLines(log);
  const ran = log.includes("\n@@ file");
  const shown = failed.length > 0 || !ran ? failed : ["...", ...log.split("\n").slice(-LAST_LINES)];
  return [...shown, `whole log: ${logFile}`].map((line) => `    ${line}`);
}

function failedToRun(kernel: string, error: Error): Outcome {
  return {
    kernel,
    state: "ran",
    release: "",
    passed: 0,
    failed: 1,
    skipped: 0,
    seconds: 0,
    bootSeconds: undefined,
    files: [],
    failures: [],
    remarks: [error.message],
    logFile: "",
    log: "",
  };
}
