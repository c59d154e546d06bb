// The part of the matrix that `npm test` runs: in about half an hour on two processors without KVM.
import { runAll } from "./fleet.ts";
import { kernelTests, type Request } from "./lab.ts";
import { installTools } from "./tools.ts";

/** These meet the machine and its user space more than the kernel: two guests are enough for them. */
const aboutTheHost = new Set(
  [
    ...[
      "actors",
      "check",
      "cost",
      "cpus",
      "ends",
      "expect",
      "filters",
      "leaks",
      "library",
      "modules",
    ],
    ...["peer", "places", "privileges", "quiet", "recording", "survive", "tracefs"],
  ].map((name) => `test/kernel/${name}.test.ts`),
);

/** The oldest processor that the README promises: x86-64-v2 and nothing of v3. The tests' own Bun runs on it too. */
const onOldest: Request = {
  kernel: "6.1",
  files: ["test/kernel/smoke.test.ts", "test/kernel/trace.test.ts"],
  pattern: "processor|says its version|write and read",
  machine: { processor: "Nehalem" },
  env: { VM_PROCESSOR: "Nehalem" },
};

/** Both ends of the range, what most hosts run, one real-time kernel and the other architecture; the longest first. */
function subset(): Request[] {
  const files = kernelTests().filter((file) => !aboutTheHost.has(file));
  const some = ["6.1", "5.10", "6.12-rt", "6.1-arm64"].map((kernel) => ({ kernel, files }));
  return [{ kernel: "newest" }, { kernel: "6.12" }, ...some, onOldest];
}

// About half an hour where nothing else runs, the first downloads included; a busy machine gets twice that.
const secondsInAll = 65 * 60;

/** Boots each guest of the subset and adds up their tests. */
export async function runSubset(): Promise<{ passed: number; failed: number }> {
  await installTools();
  const requests = subset().map((request) => ({ ...request, secondTry: true }));
  const outcomes = await runAll(requests, secondsInAll);
  let passed = 0;
  let failed = 0;
  for (const outcome of outcomes) {
    passed += outcome.passed;
    // A kernel that cannot be had is a hole in the test, not a pass.
    failed += outcome.state === "absent" ? 1 : outcome.failed;
  }
  return { passed, failed };
}

if (import.meta.main) {
  const { passed, failed } = await runSubset();
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
