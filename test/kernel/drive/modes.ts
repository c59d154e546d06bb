/** The attach modes of this kernel, by facts that do not come from the tracer. */
import { existsSync, readFileSync } from "node:fs";
import { uname } from "../../../src/kernel/libc.ts";

export type Mode = "kprobe" | "tracepoint";

/** CONFIG_KPROBE_EVENTS puts kprobe_dispatcher into the symbol table. */
const hasKprobes = / kprobe_dispatcher$/m.test(readFileSync("/proc/kallsyms", "latin1"));

/** The tested executable acts as on a kernel before 5.10, whatever this kernel is. */
export const asBefore510 =
  process.env["TRACER_BPF_WITHOUT"]?.split(",").includes("test_run") === true;

/** The same as on a kernel before 4.7, of how much a program takes of a datagram. */
export const withoutLengths =
  process.env["TRACER_BPF_WITHOUT"]?.split(",").includes("datagram_lengths") === true;

/** BPF_PROG_TEST_RUN of raw tracepoints came with 5.10; the tracepoints themselves are older. */
const hasTracepoints = !asBefore510 && linuxAtLeast(5, 10);

export const has: Readonly<Record<Mode, boolean>> = {
  kprobe: hasKprobes,
  tracepoint: hasTracepoints,
};

/** The lab leaves out a mode that the same tests meet in another guest, or without a guest. */
const wanted = process.env["LAB_MODES"] || "kprobe,tracepoint";

/** Empty must fail: see "this kernel has an attach mode" in trace.test.ts. */
export const modes = (["kprobe", "tracepoint"] as const).filter(
  (mode) => has[mode] && wanted.split(",").includes(mode),
);

/**
 * In an emulated guest each start of the tracer takes seconds. Tests of what depends neither on the way to attach nor on the
 * kernel run without a guest; FULL=1 runs them in guests too.
 */
export const sparing = process.env["VM_KERNEL"] !== undefined && process.env["FULL"] !== "1";

/**
 * How many connections a test makes that needs many, but not so many: in an emulated guest each costs some ten milliseconds,
 * and its two processors take turns of a tenth of a second, so that few meet there what many meet on a host.
 */
export const many = (onHost: number, inGuest: number): number => (sparing ? inGuest : onHost);

/** Whether connections older than the trace are listed: the walk of the tracepoint mode needs the kernel's types. */
export const lists = (mode: Mode): boolean =>
  mode === "kprobe" || existsSync("/sys/kernel/btf/vmlinux");

export function linuxAtLeast(major: number, minor: number): boolean {
  const [, a, b] = /^(\d+)\.(\d+)/.exec(uname().release)!;
  return Number(a) > major || (Number(a) === major && Number(b) >= minor);
}
