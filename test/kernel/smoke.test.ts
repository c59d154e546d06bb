// Is this a place where the other tests can run at all? In a guest it also tests the lab.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { fileURLToPath } from "node:url";

const guestKernel = process.env["VM_KERNEL"];
const built = fileURLToPath(new URL("../../dist/tracer-bpf", import.meta.url));
const binary = process.env["TRACER_BPF"] ?? built;

test("the kernel is the one that was asked for", () => {
  console.log(`kernel ${release()}`);
  expect(release()).toMatch(/^\d+\.\d+/);
  // "newest" names no series.
  const series = /^\d+\.\d+/.exec(guestKernel ?? "")?.[0];
  if (series) expect(release()).toMatch(new RegExp(`^${RegExp.escape(series)}\\b`));
});

test("/proc/net/tcp can be read and has its heading", () => {
  expect(readFileSync("/proc/net/tcp", "utf8")).toContain("local_address");
});

test("the loopback device is up", () => {
  expect(Number(readFileSync("/sys/class/net/lo/flags", "utf8")) & 1).toBe(1);
});

// A host may well be without; the lab's guests have them.
test.skipIf(guestKernel === undefined)("tracing and control groups are mounted in a guest", () => {
  // debugfs alone has the first before 4.1; the second are of version 1 before 4.5.
  const events = ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"];
  // In lockdown mode "confidentiality" nobody may open them.
  expect(events.some(existsSync)).toBe(process.env["VM_LOCKDOWN"] === undefined);
  const groups = ["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/pids/tasks"];
  expect(groups.some(existsSync)).toBe(true);
});

test.skipIf(process.env["VM_PROCESSOR"] === undefined)(
  "the processor is x86-64-v2 and no more",
  () => {
    const flags = /^flags\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))![1]!.split(" ");
    expect(flags).toContain("sse4_2");
    for (const newer of ["avx", "avx2", "bmi1", "bmi2", "fma", "movbe"])
      expect(flags).not.toContain(newer);
  },
);

test.skipIf(process.env["VM_LOCKDOWN"] === undefined)(
  "the kernel is locked down, and a trace says by what way it goes on",
  () => {
    const mode = process.env["VM_LOCKDOWN"]!;
    expect(readFileSync("/sys/kernel/security/lockdown", "utf8")).toContain(`[${mode}]`);
    const { BUN_BE_BUN: _, ...env } = process.env;
    const { exitCode, stderr } = Bun.spawnSync([binary, "trace", "--duration", "1s"], { env });
    expect(exitCode).toBe(0);
    expect(stderr.toString()).toContain("tracing TCP and UDP with tracepoints and plain loads on");
    expect(stderr.toString()).toContain("kprobes are not used: kprobes: not available");
  },
);

test("the binary under test starts and says its version", () => {
  // In a guest the runner is the same binary, made into bun by this variable.
  const { BUN_BE_BUN: _, ...env } = process.env;
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, "version"], { env });
  expect(stderr.toString()).toBe("");
  expect(stdout.toString()).toMatch(/\d+\.\d+\.\d+/);
  expect(exitCode).toBe(0);
});
