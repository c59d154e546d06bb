/** The running host: what its kernel offers, and facts for messages when it refuses. */
import {
  attachModeMissing,
  explainLoadFailure,
  lockdownMode,
  noWayToAttach,
  tracefsMissing,
  type LoadFailure,
} from "../explain.ts";
import { makeRoomForDescriptors } from "./descriptors.ts";
import { askFeatures, type Features } from "./features.ts";
import { findSymbol } from "./kallsyms.ts";
import { kprobeWay, openKprobes, type KprobeAttacher } from "./kprobes.ts";
import { uname } from "./libc.ts";
import { KernelError, openShim, type Shim } from "./shim.ts";
import { textOf } from "./text_file.ts";

export type AttachMode = "kprobe" | "tracepoint";

export interface Host {
  shim: Shim;
  kernel: { release: string; version: string; machine: string };
  /** Ways to attach that are to be tried, the first first. Never empty. */
  modes: AttachMode[];
  features: Features;
  /** null where `modes` has no "kprobe". */
  kprobes: KprobeAttacher | null;
}

let opened: Shim | undefined;

/** Throws a Failure that says why this host cannot. */
export function openHost(wanted: AttachMode | "auto"): Host {
  const { release, version, machine } = uname();
  makeRoomForDescriptors();
  const shim = (opened ??= openShim());
  const refused = shim.kernelBpf();
  if (refused !== 0)
    throw explainLoadFailure({ ...hostFacts(), errno: refused, log: "", step: "map" });
  const kprobes = wanted === "tracepoint" ? null : openKprobes(shim);
  const modes: AttachMode[] = [];
  if (kprobes) modes.push("kprobe");
  const features = askFeatures(shim, release);
  if (wanted !== "kprobe" && features.has("test_run")) modes.push("tracepoint");
  if (modes.length === 0) {
    if (wanted !== "tracepoint" && hasKprobeEvents()) throw tracefsMissing(release);
    throw wanted === "auto" ? noWayToAttach(release) : attachModeMissing(wanted, release);
  }
  const kernel = { release, version, machine };
  return { shim, kernel, modes, features, kprobes };
}

/** Finds the same as openHost, but refuses nothing and changes nothing on the host. */
export function offeredBy(shim: Shim, release: string) {
  const kprobes = kprobeWay();
  const features = askFeatures(shim, release);
  return {
    /** 0, or the errno of bpf(2). */
    bpf: shim.kernelBpf(),
    kprobes,
    /** The kernel has them, even if what they are reached by is missing. */
    hasKprobes: kprobes !== null || hasKprobeEvents(),
    tracepoints: features.has("test_run"),
    missing: features.missing(),
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

export const hasSeccompFilter = (): boolean =>
  /^Seccomp:\s*2/m.test(textOf("/proc/self/status") ?? "");

/** Not even root may read the kernel's memory. false also where nobody tells. */
export const isLockedDown = (): boolean => lockdownMode(lockdownText()) === "confidentiality";

export const lockdownText = (): string | null => textOf("/sys/kernel/security/lockdown");

// --- internal ---

/** CONFIG_KPROBE_EVENTS: CONFIG_KPROBES alone lets nobody outside of the kernel have any. */
const hasKprobeEvents = (): boolean => findSymbol("kprobe_dispatcher") !== null;

function hostFacts(): Omit<LoadFailure, "errno" | "log"> {
  const held = capabilities();
  const { release } = uname();
  return {
    lockdown: lockdownText(),
    euid: process.geteuid?.() ?? 0,
    kernel: release,
    // Another one may be more than the limits of this process allow, which may be what is to be explained.
    features: askFeatures(opened ?? openShim(), release),
    seccomp: hasSeccompFilter(),
    cpusKnown: textOf("/sys/devices/system/cpu/possible") !== null,
    ...(held === null ? {} : { capabilities: held }),
  };
}
