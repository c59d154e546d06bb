// The part of the matrix that `npm test` runs: within 25 minutes on two processors without KVM.
import { runOnEach } from "./fleet.ts";
import { installTools } from "./tools.ts";

// Both ends of the range, what most hosts run, one real-time kernel and the other architecture.
const subset = ["newest", "6.12", "6.1", "5.10", "6.12-rt", "6.1-arm64"];

/** The oldest processor that the README promises: x86-64-v2 and nothing of v3. The tests' own Bun runs on it too. */
const onOldest = {
  files: ["test/kernel/smoke.test.ts", "test/kernel/trace.test.ts"],
  pattern: "processor|says its version|write and read",
  machine: { processor: "Nehalem" },
  env: { VM_PROCESSOR: "Nehalem" },
  secondTry: true,
};

// The promise is 25 minutes for all, the first downloads included.
const secondsInAll = 24 * 60;

/** Boots each kernel of the subset with every kernel test and adds up the guests' tests. */
export async function runSubset(): Promise<{ passed: number; failed: number }> {
  await installTools();
  const begun = performance.now();
  const outcomes = await runOnEach(subset, { secondTry: true }, secondsInAll);
  const left = secondsInAll - (performance.now() - begun) / 1000;
  outcomes.push(...(await runOnEach(["6.1"], onOldest, left)));
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
