// The part of the matrix that `npm test` runs: in about half an hour on two processors without KVM.
import { runAll } from "./fleet.ts";
import { imageFolder, images } from "./images.ts";
import { kernelTests, type Request } from "./lab.ts";
import { installTools } from "./tools.ts";

const named = (names: string): Set<string> =>
  new Set(names.split(" ").map((name) => `test/kernel/${name}.test.ts`));

/** These meet the machine and its user space more than the kernel: one guest is enough for them. */
const aboutTheHost = named(
  "actors check cost cpus ends expect filters leaks library modules peer places privileges quiet recording survive tracefs",
);

/**
 * These begin a trace for each test, which takes long, on a real-time kernel most of all: the two ends of the range and
 * arm64 are enough for them.
 */
const oneTraceEach = named("args busy follow groups kernel_filter");

/** The oldest processor that the README promises: x86-64-v2 and nothing of v3. The tests' own Bun runs on it too. */
const onOldest: Request = {
  kernel: "6.1",
  files: ["test/kernel/smoke.test.ts", "test/kernel/trace.test.ts"],
  pattern: "processor|says its version|write and read",
  logName: "6.1-nehalem",
  machine: { processor: "Nehalem" },
  env: { VM_PROCESSOR: "Nehalem" },
};

/** On each kernel that no archive has any more: the start, with its self-check, and one pass of the scenarios. */
const onImages = [...named("smoke scenarios")];

/** The kernels before 5.10 differ in more than this; all that a newer kernel can show of their programs and ways. */
const asBefore510: Request = {
  kernel: "5.10",
  files: [...named("trace udp failures races interval open scenarios cpus library processes")],
  logName: "5.10-as-before",
  env: { TRACER_BPF_WITHOUT: "test_run" },
};

/**
 * Both ends of the range, what most hosts run, one real-time kernel and the other architecture; the longest first. Each
 * has a log of its own.
 */
function subset(): Request[] {
  const all = kernelTests();
  const host = all.filter((file) => aboutTheHost.has(file));
  const kernel = all.filter((file) => !aboutTheHost.has(file));
  const tracing = kernel.filter((file) => !oneTraceEach.has(file));
  return [
    { kernel: "6.12", files: host, logName: "6.12-host" },
    { kernel: "newest", files: kernel },
    { kernel: "6.12-rt", files: tracing },
    { kernel: "6.1-arm64", files: kernel },
    { kernel: "5.10", files: kernel },
    { kernel: "6.12", files: tracing },
    { kernel: "6.1", files: tracing },
    asBefore510,
    onOldest,
    ...images().map((kernel) => ({ kernel, files: onImages })),
  ];
}

/** Boots each guest of the subset and adds up their tests. */
export async function runSubset(): Promise<{ passed: number; failed: number }> {
  await installTools();
  if (images().length === 0)
    console.error(`vm: ${imageFolder} holds no kernels: nothing older than Linux 5.10 is tried`);
  const outcomes = await runAll(subset());
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
