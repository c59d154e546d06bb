// The part of the matrix that `npm test` runs: in about forty minutes on two processors without KVM. `sparing` in
// test/kernel/drive/modes.ts names what is left out there, since it is tried without a guest, by tracepoints.
import { runAll } from "./fleet.ts";
import { imageFolder, images } from "./images.ts";
import type { Request } from "./lab.ts";
import { installTools } from "./tools.ts";

const named = (names: string): string[] =>
  names.split(" ").map((name) => `test/kernel/${name}.test.ts`);

/**
 * Where a kernel's own ways show: the newest kernel of the archive, by kprobes. The same by tracepoints, and more, runs without
 * a guest. Its verifier walks as that of 6.18 does, which is tried without one; ends that race are tried on the kernel whose
 * programs are preempted.
 */
const newest: Request = {
  kernel: "newest",
  files: named(
    "smoke trace udp scenarios processes interval offsets unusual layouts bindings sockmap mptcp",
  ),
  modes: ["kprobe"],
};

/**
 * From 7.0 on tracepoint programs are preempted, and have backups: what these see on the way, and new layouts. Protocols and the
 * asking for translated addresses have no backups: other kernels show them, and nat.test the asking on this one.
 */
const newestByTracepoints: Request = {
  kernel: "newest",
  files: named("smoke trace udp scenarios races sockmap mptcp walk nat_ctnetlink"),
  modes: ["tracepoint"],
  logName: "newest-tracepoints",
};

/**
 * The oldest kernel that has tracepoint mode. Holders are looked up in /proc there, and sockets listed by other walks. Offsets
 * of its structs are guessed at each start, and searched in its snapshot by a unit test.
 */
const oldestByTracepoints: Request = {
  kernel: "5.10",
  files: named(
    "smoke trace udp scenarios processes walked failures open acceptors nat_ask nat_ctnetlink protocols",
  ),
  modes: ["tracepoint"],
};

/** These differ by attach mode, hardly by kernel. They run without a guest as well, with tracepoints. */
const host: Request = {
  kernel: "6.12",
  files: named(
    "actors check cost cpus ends expect leaks library modules peer privileges protocols protocols_udp quiet sockmap",
  ),
  modes: ["kprobe"],
  logName: "6.12-host",
};

const options: Request = {
  kernel: "6.12",
  files: named("filters metrics places recording survive tracefs busy younger"),
  modes: ["kprobe"],
  logName: "6.12-options",
};

const commands: Request = {
  kernel: "6.1",
  files: named("smoke trace scenarios fentry follow kernel_filter args resolve groups refused"),
  modes: ["kprobe"],
};

const preemptible: Request = {
  kernel: "6.12-rt",
  files: named("smoke trace races"),
  modes: ["kprobe"],
};

/** The other architecture: its registers, of which tracepoints see none, and its own layout of structs. */
const onArm64: Request = {
  kernel: "6.1-arm64",
  files: named("smoke trace udp offsets bindings"),
  modes: ["kprobe"],
};

/** The oldest processor that the README promises: x86-64-v2 and nothing of v3. The tests' own Bun runs on it too. */
const onOldest: Request = {
  kernel: "6.1",
  files: named("smoke trace"),
  pattern: "processor|says its version|write and read",
  logName: "6.1-nehalem",
  machine: { processor: "Nehalem" },
  env: { VM_PROCESSOR: "Nehalem" },
};

/** Not even root may read the kernel's memory: no kprobes, no helper that reads, and programs that load what they need. */
const lockedDown: Request = {
  kernel: "6.12",
  files: named("smoke scenarios"),
  modes: ["tracepoint"],
  logName: "6.12-lockdown",
  machine: { append: "lsm=lockdown lockdown=confidentiality" },
  env: { VM_LOCKDOWN: "confidentiality" },
};

/** NAT is followed by kprobes as entries are made, and asked for by tracepoints in two ways. */
const translating: Request[] = [
  { kernel: "newest", files: named("nat"), modes: ["tracepoint"], logName: "newest-nat" },
  { kernel: "5.10", files: named("nat"), logName: "5.10-nat" },
];

/** Its first process is systemd, which runs the unit of packaging/ with all that the unit takes away. */
const asService: Request = {
  kernel: "6.12",
  files: named("systemd"),
  modes: ["kprobe"],
  logName: "6.12-systemd",
};

/** On each kernel that no archive has any more: the start, with its self-check, one pass of the scenarios, and payload. */
const onImages = named("smoke scenarios protocols");

/**
 * The kernels before 5.10 differ in more than this; all that a newer kernel can show of their programs and ways, but for the
 * scenarios, which those kernels themselves show.
 */
const asBefore510: Request = {
  kernel: "5.10",
  files: named("trace udp failures open cpus slow_copy"),
  logName: "5.10-as-before",
  env: { TRACER_BPF_WITHOUT: "test_run,datagram_lengths" },
};

/** The longest first, so that both processors end at the same time. Each has a log of its own. Every test file is in one of them. */
export function subset(): Request[] {
  return [
    commands,
    newest,
    newestByTracepoints,
    oldestByTracepoints,
    host,
    options,
    asBefore510,
    onArm64,
    ...translating,
    preemptible,
    asService,
    lockedDown,
    ...images().map((kernel) => ({ kernel, files: onImages })),
    onOldest,
  ];
}

/** Boots each guest of the subset and adds up their tests. `failures` names what failed, with its guest. */
export async function runSubset(): Promise<{
  passed: number;
  failed: number;
  failures: string[];
}> {
  installTools();
  if (images().length === 0)
    console.error(`vm: ${imageFolder} holds no kernels: nothing older than Linux 5.10 is tried`);
  const requests = subset();
  const outcomes = await runAll(requests);
  let passed = 0;
  let failed = 0;
  const failures: string[] = [];
  for (const [place, outcome] of outcomes.entries()) {
    // A kernel that cannot be had is a hole in the test, not a pass.
    const failedHere = outcome.state === "absent" ? 1 : outcome.failed;
    passed += outcome.passed;
    failed += failedHere;
    const guest = requests[place]!.logName ?? outcome.kernel;
    failures.push(...outcome.failures.map((name) => `${guest}: ${name}`));
    if (failedHere > outcome.failures.length)
      failures.push(`${guest}: ${outcome.remarks.at(-1) ?? "no reason known"}`);
  }
  return { passed, failed, failures };
}

if (import.meta.main) {
  const { passed, failed, failures } = await runSubset();
  for (const name of failures) console.log(`failed: ${name}`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
