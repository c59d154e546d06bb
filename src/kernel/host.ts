/** The running host: what its kernel offers, and facts for messages when it refuses. */
import { existsSync, readFileSync } from "node:fs";
import {
  attachModeMissing,
  explainLoadFailure,
  noWayToAttach,
  tracefsMissing,
  type LoadFailure,
} from "../explain.ts";
import { makeRoomForDescriptors } from "./descriptors.ts";
import { findSymbol } from "./kallsyms.ts";
import { openKprobes, type KprobeAttacher } from "./kprobes.ts";
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
    if (wanted !== "tracepoint" && findSymbol("register_kprobe")) throw tracefsMissing(release);
    throw wanted === "auto" ? noWayToAttach(release) : attachModeMissing(wanted, release);
  }
  return { shim, kernel: { release, version, machine }, modes, testRun, kprobes };
}

/** What a KernelError means on this host; other errors come back as they are. */
export function explained(
  error: unknown,
  about: Pick<LoadFailure, "step" | "subject" | "symbol"> = {},
): unknown {
  if (!(error instanceof KernelError)) return error;
  return explainLoadFailure({ ...hostFacts(), errno: error.errno, log: error.log, ...about });
}

// --- internal ---

/** BPF_PROG_TEST_RUN of raw tracepoint programs, on which the tracepoint mode rests, came with 5.10. */
function hasTestRun(release: string): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(major) > 5 || (Number(major) === 5 && Number(minor) >= 10);
}

function hostFacts(): Omit<LoadFailure, "errno" | "log"> {
  const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(textOf("/proc/self/status") ?? "")?.[1];
  return {
    lockdown: textOf("/sys/kernel/security/lockdown"),
    euid: process.geteuid?.() ?? 0,
    kernel: uname().release,
    ...(capabilities === undefined ? {} : { capabilities: BigInt(`0x${capabilities}`) }),
  };
}

function textOf(path: string): string | null {
  try {
    return existsSync(path) ? readFileSync(path, "utf8") : null;
  } catch {
    return null;
  }
}
