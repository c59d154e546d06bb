/**
 * Everything: builds for both machines and libcs, then unit tests, tests of the built files, the kernel tests
 * here and in a subset of the VM lab. Ends with a line "N passed, N failed".
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { again, type Count } from "./silence/again.ts";

/** A part that cannot start counts as one failure. To add one, add a row; they run in this order. */
const PARTS: { name: string; run: () => Promise<Count> }[] = [
  { name: "build", run: build },
  { name: "unit tests", run: () => bunTest("test/unit/", "--parallel=4", "--no-isolate") },
  { name: "commands", run: () => bunTest("test/commands/", "--parallel=2", "--no-isolate") },
  { name: "built files", run: () => bunTest("test/built/") },
  { name: "this machine's kernel", run: () => eachFile("test/kernel") },
  { name: "kernels in virtual machines", run: vmSubset },
];

process.chdir(join(import.meta.dir, ".."));
const total: Count = { passed: 0, failed: 0, failures: [] };
for (const { name, run } of PARTS) {
  const start = performance.now();
  console.log(`\n# ${name}`);
  const count = await orFailed(run());
  total.passed += count.passed;
  total.failed += count.failed;
  total.failures.push(...count.failures.map((failure) => `${name}: ${failure}`));
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`# ${name}: ${count.passed} ok, ${count.failed} not, ${seconds} s`);
  // Nothing that follows can run without it.
  if (name === "build" && count.failed > 0) break;
}
for (const failure of total.failures) console.log(`failed: ${failure}`);
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed === 0 ? 0 : 1);

async function build(): Promise<Count> {
  const child = Bun.spawn([process.execPath, "build.ts", "--all"], {
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  if ((await child.exited) !== 0) throw new Error("the build failed: its reason is above");
  return { passed: 0, failed: 0, failures: [] };
}

async function orFailed(count: Promise<Count>): Promise<Count> {
  return await count.catch((error: unknown) => {
    console.log(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return { passed: 0, failed: 1, failures: [String(error)] };
  });
}

/** Each file in a process of its own, as in a guest, and under the eyes of a witness. */
async function eachFile(folder: string): Promise<Count> {
  const sum: Count = { passed: 0, failed: 0, failures: [] };
  const seconds: [string, number][] = [];
  // Nothing that the build makes is there before this.
  const { openWitness } = await import("./silence/silence.ts");
  using witness = openWitness();
  const silences = () => witness?.silences() ?? 0;
  for (const file of readdirSync(folder).toSorted()) {
    if (!file.endsWith(".test.ts")) continue;
    const start = performance.now();
    const count = await again(file, () => orFailed(bunTest(join(folder, file))), silences);
    seconds.push([file.replace(".test.ts", ""), (performance.now() - start) / 1000]);
    sum.passed += count.passed;
    sum.failed += count.failed;
    sum.failures.push(...count.failures.map((failure) => `${file}: ${failure}`));
  }
  const shown = seconds
    .toSorted((a, b) => b[1] - a[1])
    .map(([name, s]) => `${name} ${s.toFixed(0)}`);
  console.log(`# seconds: ${shown.join(", ")}`);
  return sum;
}

/** Runs one file's or folder's tests, shown as they run; the counts come from the report. */
async function bunTest(path: string, ...flags: string[]): Promise<Count> {
  const work = mkdtempSync(join(tmpdir(), "tracer-bpf-test-"));
  const report = join(work, "report.xml");
  try {
    const child = Bun.spawn(
      [process.execPath, "test", `./${path}`, "--timeout", "120000"].concat(
        ...flags,
        "--reporter=junit",
        `--reporter-outfile=${report}`,
      ),
      { stdin: "ignore", stdout: "inherit", stderr: "inherit" },
    );
    const code = await child.exited;
    const count = readReport(report);
    // A crash, or a file that could not be loaded, is in no report.
    if (code !== 0 && count.failed === 0) {
      count.failed = 1;
      count.failures.push(`bun test ${path} ended with ${code}`);
    }
    return count;
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** The root element counts all tests; what was skipped did not pass. Names are as XML has them. */
function readReport(file: string): Count {
  const xml = readFileSync(file, "utf8");
  const root = /<testsuites [^>]*>/.exec(xml)?.[0] ?? "";
  const failures = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*[^/]>\s*<failure/g)].map(
    ([, name = ""]) => name,
  );
  const number = (name: string): number =>
    Number(new RegExp(` ${name}="(\\d+)"`).exec(root)?.[1] ?? NaN);
  const failed = number("failures");
  const passed = number("tests") - failed - number("skipped");
  if (Number.isNaN(passed)) throw new Error(`${file} is no report of bun test`);
  return { passed, failed, failures };
}

async function vmSubset(): Promise<Count> {
  const { runSubset } = await import("./vm/subset.ts");
  return await runSubset();
}
