// Reads what a guest printed: init.sh's marks (lines that begin with "@@") and bun's summaries.

export type GuestReport = {
  release: string | undefined;
  /** The guest's own clock when init was done. */
  bootSeconds: number | undefined;
  passed: number;
  failed: number;
  skipped: number;
  /** Each file that came to an end, with the guest's own seconds. */
  files: { name: string; seconds: number }[];
  /** The tests that failed, as `file: test`. */
  failures: string[];
  /** Files that count as failed for a reason that no test printed. */
  problems: string[];
  /** Kernel messages that tell of a bug, with their traces. */
  complaints: string[];
  done: boolean;
};

export function readReport(log: string): GuestReport {
  const report: GuestReport = {
    release: undefined,
    bootSeconds: undefined,
    passed: 0,
    failed: 0,
    skipped: 0,
    files: [],
    failures: [],
    problems: [],
    complaints: [],
    done: false,
  };
  let file = "";
  let counts: Counts = noCounts();
  for (const line of log.split("\n")) {
    const count = /^ *(\d+) (pass|fail|skip|todo)$/.exec(line);
    if (count) counts[count[2] as keyof Counts] += Number(count[1]);
    const failure = failureName.exec(line)?.[1];
    // Bun names them again at a file's end.
    if (failure !== undefined && !report.failures.includes(`${file}: ${failure}`))
      report.failures.push(`${file}: ${failure}`);
    const mark = /^@@ (\w+) ?(.*)$/.exec(line);
    if (!mark) {
      // Seen on the console only when the kernel died before init could read its log.
      if (/Kernel panic|not syncing/.test(line)) report.complaints.push(line);
      continue;
    }
    const [, kind, rest = ""] = mark;
    if (kind === "ready") {
      report.bootSeconds = Number(rest.split(" ")[0]);
      report.release = rest.split(" ")[1];
    }
    if (kind === "file") {
      counts = noCounts();
      file = rest;
    }
    if (kind === "exit") addFile(report, counts, rest);
    if (kind === "shell" && rest !== "0") {
      report.failed += 1;
      report.problems.push(`the command ended with ${rest}`);
    }
    if (kind === "dmesg") report.complaints.push(rest);
    if (kind === "done") report.done = true;
  }
  return report;
}

const failureName = /^\(fail\) (.*?)( \[[\d.]+m?s\])?$/;

/** Lines before a test's own, in which bun has printed why it failed. */
const LINES_OF_FAILURE = 40;

/** For each failed test the lines that bun printed for it: those since the test before, 40 at most. */
export function failedLines(log: string): string[] {
  const shown: string[] = [];
  let own: string[] = [];
  const told = new Set<string>();
  for (const line of log.split("\n")) {
    const name = failureName.exec(line)?.[1];
    own.push(line);
    if (name !== undefined && !told.has(name)) {
      shown.push(...own.slice(-LINES_OF_FAILURE));
      told.add(name);
    }
    if (name !== undefined || /^(\(pass\)|\(skip\)|@@ )/.test(line)) own = [];
  }
  return shown;
}

type Counts = { pass: number; fail: number; skip: number; todo: number };

const noCounts = (): Counts => ({ pass: 0, fail: 0, skip: 0, todo: 0 });

// The exit status and the counts must agree: a file that crashed, hung or held no test is a failure.
function addFile(report: GuestReport, counts: Counts, rest: string) {
  const [status = "", name = "", seconds = ""] = rest.split(" ");
  report.files.push({ name, seconds: Number(seconds) });
  report.passed += counts.pass;
  report.failed += counts.fail;
  report.skipped += counts.skip + counts.todo;
  if (counts.fail > 0) return;
  if (status !== "0") {
    report.failed += 1;
    report.problems.push(`${name} ended with ${describeStatus(status)}`);
  } else if (counts.pass + counts.skip === 0) {
    report.failed += 1;
    report.problems.push(`${name} ran no test`);
  }
}

function describeStatus(status: string): string {
  if (status === "hung") return "nothing said for so long that it hangs, and was killed";
  if (status === "137") return "137: it was killed, as the kernel does without memory";
  if (status === "139") return "139: it crashed";
  return status;
}
