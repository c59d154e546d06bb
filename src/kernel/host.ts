/** The running host: what its kernel offers, and facts for messages when it refuses. */
import { readFileSync } from "node:fs";
import {
  attachModeMissing,
  explainLoadFailure,
  noWayToAttach,
  tracefsMissing,
  type LoadFailure,
} from "../explain.ts";
import { makeRoomForDescriptors } from "./descriptors.ts";
import { findSymbol } from "./kallsyms.ts";
import { kprobeWay, openKprobes, type KprobeAttacher } from "./kprobes.ts";
import { uname } from "./libc.ts";
import { KernelError, openShim, type Shim } from "./shim.ts";

export type AttachMode = "kprobe" | "tracepoint";

export interface Host {
  shim: Shim;
  kernel: { release: string; version: string; machine: string };
  /** Ways to attach that are to be tried, the first first. Never empty. */
  modes: AttachMode[];
  /** Whether programs can be run on request (BPF_PROG_TEST_RUN of raw tracepoint programs). */
  testRun: boolean;
  /** The optional helpers of the programs that this kernel has, by number in enum bpf_func_id. */
  helpers: ReadonlySet<number>;
  /** null where `modes` has no "kprobe". */
  kprobes: KprobeAttacher | null;
}

/** Throws a Failure that says why this host cannot. */
export function openHost(wanted: AttachMode | "auto"): Host {
  const { release, version, machine } = uname();
  makeRoomForDescriptors();
  const shim = openShim();
  const refused = shim.kernelBpf();
  if (refused !== 0)
    throw explainLoadFailure({ ...hostFacts(), errno: refused, log: "", step: "map" });
  const kprobes = wanted === "tracepoint" ? null : openKprobes(shim);
  const modes: AttachMode[] = [];
  if (kprobes) modes.push("kprobe");
  const testRun = hasTestRun(release);
  if (wanted !== "kprobe" && testRun) modes.push("tracepoint");
  if (modes.length === 0) {
    if (wanted !== "tracepoint" && hasKprobeEvents()) throw tracefsMissing(release);
    throw wanted === "auto" ? noWayToAttach(release) : attachModeMissing(wanted, release);
  }
  const kernel = { release, version, machine };
  return { shim, kernel, modes, testRun, helpers: helpersOf(shim), kprobes };
}

/** Finds the same as openHost, but refuses nothing and changes nothing on the host. */
export function offeredBy(shim: Shim, release: string) {
  const kprobes = kprobeWay();
  return {
    /** 0, or the errno of bpf(2). */
    bpf: shim.kernelBpf(),
    kprobes,
    /** The kernel has them, even if what they are reached by is missing. */
    hasKprobes: kprobes !== null || hasKprobeEvents(),
    tracepoints: hasTestRun(release),
  };
}

/** The explanation of a KernelError on this host; other errors come back as they are. */
export function explained(
  error: unknown,
  about: Pick<LoadFailure, "step" | "subject" | "symbol"> = {},
): unknown {
  if (!(error instanceof KernelError)) return error;
  return explainLoadFailure({ ...hostFacts(), errno: error.errno, log: error.log, ...about });
}

/** CapEff of this process; null where it cannot be read. */
export function capabilities(): bigint | null {
  const held = /^CapEff:\s*([0-9a-f]+)/m.exec(textOf("/proc/self/status") ?? "")?.[1];
  return held === undefined ? null : BigInt(`0x${held}`);
}

export const lockdownText = (): string | null => textOf("/sys/kernel/security/lockdown");

/** null: not there, or not for us to read. */
export function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

// --- internal ---

/** CONFIG_KPROBE_EVENTS: CONFIG_KPROBES alone lets nobody outside of the kernel have any. */
const hasKprobeEvents = (): boolean => findSymbol("kprobe_dispatcher") !== null;

/** For tests: kernels before 5.10 are out of reach of the lab, but not what is done there. */
const AS_BEFORE_5_10 = process.env["TRACER_BPF_BEFORE_5_10"] === "1";

/** BPF_PROG_TEST_RUN of raw tracepoint programs, on which the tracepoint mode rests, came with 5.10. */
function hasTestRun(release: string): boolean {
  if (AS_BEFORE_5_10) return false;
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(major) > 5 || (Number(major) === 5 && Number(minor) >= 10);
}

/** The helpers that the programs have placeholders for, each with its release. To add one, add a row. */
const OPTIONAL_HELPERS = {
  /** 4.8 */
  get_current_task: 35,
  /** 4.18, with control groups */
  get_current_cgroup_id: 80,
} as const;

/** Kernels before 4.17 cannot be asked, and count as having none: their command lines come from /proc. */
function helpersOf(shim: Shim): ReadonlySet<number> {
  const helpers = new Set<number>();
  for (const helper of Object.values(OPTIONAL_HELPERS))
    if (shim.hasHelper(helper)) helpers.add(helper);
  // The text of a refusal has changed since, so the refusal may not be recognised.
  if (textOf("/proc/self/cgroup") === null) helpers.delete(OPTIONAL_HELPERS.get_current_cgroup_id);
  return helpers;
}

function hostFacts(): Omit<LoadFailure, "errno" | "log"> {
  const held = capabilities();
  return {
    lockdown: lockdownText(),
    euid: process.geteuid?.() ?? 0,
    kernel: uname().release,
    ...(held === null ? {} : { capabilities: held }),
  };
}
