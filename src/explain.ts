/**
 * From the bare facts of a refusal (an errno, a log, what the host is like) to an error that says why and what to
 * do. Pure: the facts are read elsewhere, so every case is testable without the kernel that shows it.
 */

import { getSystemErrorName } from "node:util";
import { hasCapability } from "./kernel/capability.ts";
import { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN } from "./kernel/constants.ts";
import type { FeatureName } from "./kernel/feature_table.ts";
import type { Features } from "./kernel/features.ts";
import { Failure, PrivilegeError, UnsupportedError, VerifierError } from "./errors.ts";

export interface LoadFailure {
  /** The errno of the call that failed; its sign does not matter. */
  errno: number;
  /** The log of the verifier or of libbpf; may be empty. */
  log: string;
  /** The text of /sys/kernel/security/lockdown, `null` where there is none. */
  lockdown: string | null;
  euid: number;
  /** uname's release. */
  kernel: string;
  /** Abilities of the kernel. Where they are not given it counts as new: old kernels' explanations stay out of the way. */
  features?: Pick<Features, "has">;
  /** The step that failed. */
  step?: "map" | "program" | "attach";
  /** The program, map or probe it was being done to. */
  subject?: string;
  /** The kernel function a probe needed. */
  symbol?: string;
  /** CapEff of /proc/self/status, where it could be read. */
  capabilities?: bigint;
  /** A seccomp filter is active in this process. */
  seccomp?: boolean;
  /** Whether /sys/devices/system/cpu can be read; left out: it can. */
  cpusKnown?: boolean;
}

export function explainLoadFailure(facts: LoadFailure): Failure {
  const name = errnoName(facts.errno);
  const known = causes.find((cause) => cause.fits(facts, name));
  if (known !== undefined) return known.explain(facts, name);
  return new Failure(`${subjectOf(facts)}: ${doing(facts)} failed with ${name}`, {
    why: lastLine(facts.log),
    hint: "run it again with --debug and report what it prints",
  });
}

/** The guess would find most offsets, but not those that it takes to tell connections apart. `null`: it may try. */
export function guessForbidden(capabilities: bigint | null): PrivilegeError | null {
  if (capabilities === null || hasCapability(capabilities, CAP_NET_ADMIN)) return null;
  return new PrivilegeError("CAP_NET_ADMIN", {
    why: "the guess reads the sequence numbers of its own connections (TCP_REPAIR)",
    hint: "run it on the host, or in a container started with --cap-add NET_ADMIN or --privileged",
  });
}

export function tooFewDescriptors(subject: string, errno: string): UnsupportedError {
  return new UnsupportedError("enough file descriptors", {
    why: `${subject}: ${errno}; a trace holds some hundred, and may not raise the limit here`,
    hint: "ulimit -n 4096, then run it again (for a systemd unit: LimitNOFILE=4096)",
  });
}

/** An error of the runtime that stands for a lack of descriptors, as one for the user; others come back as they are. */
export function runtimeFailure(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code = "", path, syscall } = error as NodeJS.ErrnoException;
  if (!isTooMany(code)) return error;
  return tooFewDescriptors([syscall, path].filter(Boolean).join(" ") || "the tracer", code);
}

/** Neither way to attach exists. */
export function noWayToAttach(kernel: string): UnsupportedError {
  return new UnsupportedError("kprobes and raw tracepoints", {
    why: `Linux ${kernel} was built with neither CONFIG_KPROBE_EVENTS nor (from 4.17 on) raw tracepoints`,
    hint: "a kernel with CONFIG_KPROBES, CONFIG_KPROBE_EVENTS and CONFIG_BPF_EVENTS; distribution kernels have them",
  });
}

/** The kernel has kprobes, but before 4.17 they can only be had through tracefs, and that is not mounted. */
export function tracefsMissing(kernel: string): UnsupportedError {
  return new UnsupportedError("kprobes", {
    why: `Linux ${kernel} has no kprobe PMU (4.17 and later), and tracefs is not mounted`,
    hint: "mount -t tracefs tracefs /sys/kernel/tracing (or debugfs on /sys/kernel/debug), then run it again",
  });
}

/** `--attach` asked for a way this kernel does not have. */
export function attachModeMissing(mode: "kprobe" | "tracepoint", kernel: string): UnsupportedError {
  const kprobe = mode === "kprobe";
  return new UnsupportedError(kprobe ? "kprobes" : "raw tracepoints", {
    why: `Linux ${kernel} ${kprobe ? "was built without CONFIG_KPROBE_EVENTS" : "has none of the ones needed"}`,
    hint: `--attach ${kprobe ? "tracepoint" : "kprobe"}, or --attach auto`,
    ...(kprobe ? {} : { since: "5.10" }),
  });
}

/** A function to be probed is not in kallsyms, under none of the names tried. */
export function missingSymbol(
  symbol: string,
  kernel: string,
  tried: readonly string[] = [],
): UnsupportedError {
  const others = tried.filter((name) => name !== symbol);
  return new UnsupportedError(`kernel function ${symbol}`, {
    why: `/proc/kallsyms of Linux ${kernel} lists neither it nor a compiler's clone of it${
      others.length === 0 ? "" : ` (tried ${others.join(", ")})`
    }`,
    hint: "--attach tracepoint, which needs no kernel function by name",
  });
}

/** `none integrity [confidentiality]` → `confidentiality`. */
export function lockdownMode(text: string | null): string {
  return /\[(\w+)\]/.exec(text ?? "")?.[1] ?? "none";
}

interface Cause {
  fits(facts: LoadFailure, errno: string): boolean;
  explain(facts: LoadFailure, errno: string): Failure;
}

/**
 * Tried from the top. To add one, put it above the first entry that would also fit but say less.
 * kernel.unprivileged_bpf_disabled and kernel.perf_event_paranoid are not among them: neither binds root.
 */
const causes: readonly Cause[] = [
  {
    // Programs load what they read there, and only kprobes are refused: the guess does not name the step.
    fits: (facts, errno) =>
      lockdownMode(facts.lockdown) === "confidentiality" &&
      facts.features?.has("plain_loads") === true &&
      (facts.step ?? "attach") === "attach" &&
      isRefusal(errno),
    explain: (facts) =>
      new UnsupportedError("kprobes", {
        why: `Linux ${facts.kernel} runs in lockdown mode "confidentiality" (/sys/kernel/security/lockdown), which refuses them`,
        hint: "--attach tracepoint",
      }),
  },
  {
    // The verifier's own text is misleading.
    fits: (facts, errno) =>
      facts.euid === 0 &&
      lockdownMode(facts.lockdown) === "confidentiality" &&
      ["EPERM", "EACCES", "EINVAL"].includes(errno),
    explain: (facts) =>
      new UnsupportedError("reading kernel memory from BPF", {
        why: `Linux ${facts.kernel} runs in lockdown mode "confidentiality" (/sys/kernel/security/lockdown)`,
        hint: 'boot with lockdown=integrity, or without lockdown; "integrity" does not stop the tracer',
      }),
  },
  {
    // The same where securityfs is not mounted: nothing else takes this helper from a program.
    fits: (facts) =>
      facts.lockdown === null &&
      /(unknown func|cannot use helper) bpf_probe_read\b/.test(facts.log),
    explain: (facts) =>
      new UnsupportedError("reading kernel memory from BPF", {
        why: `Linux ${facts.kernel} refuses it (bpf_probe_read), as it does in lockdown mode "confidentiality"`,
        hint: 'boot with lockdown=integrity, or without lockdown; "integrity" does not stop the tracer',
      }),
  },
  {
    fits: (facts, errno) => errno === "ENOENT" && facts.cpusKnown === false,
    explain: () =>
      new UnsupportedError("the list of processors", {
        why: "/sys/devices/system/cpu is not there, and each processor gets maps and rings of its own",
        hint: "mount -t sysfs sysfs /sys (in a container: one whose /sys is not hidden), then run it again",
      }),
  },
  {
    fits: (facts, errno) => errno === "ENOSYS" && facts.seccomp === true,
    explain: (facts, errno) => seccompRefuses(facts, errno),
  },
  {
    fits: (_, errno) => errno === "ENOSYS",
    explain: (facts) =>
      new UnsupportedError("BPF", {
        since: "4.4",
        why: `Linux ${facts.kernel} does not know the bpf system call (CONFIG_BPF_SYSCALL), or a sandbox hides it`,
        hint: "a kernel with CONFIG_BPF_SYSCALL; in a sandbox such as gVisor, run on the host itself",
      }),
  },
  {
    fits: (facts, errno) => isRefusal(errno) && facts.euid !== 0,
    explain: (facts) =>
      new PrivilegeError("root", {
        why: `it runs as uid ${facts.euid}, and Linux lets only root load these programs`,
        hint: "sudo tracer-bpf ... (never give the file capabilities: its runtime could then run anybody's code)",
      }),
  },
  {
    fits: (facts, errno) => isRefusal(errno) && missingCapabilities(facts).length > 0,
    explain: (facts) =>
      new PrivilegeError(missingCapabilities(facts).join(" and "), {
        why: "this root lacks it, as root in a container does",
        hint: "run it on the host, or in a container started with --privileged",
      }),
  },
  {
    // Up to 5.10 maps are charged against RLIMIT_MEMLOCK, and exceeding it reads EPERM; later cgroups account for them.
    fits: (facts, errno) =>
      lacks(facts, "memcg_accounting") &&
      ((errno === "EPERM" && facts.step === "map") ||
        (errno === "ENOMEM" && facts.step !== "program")),
    explain: (facts, errno) =>
      new UnsupportedError("enough locked memory", {
        why: `${subjectOf(facts)}: ${errno}; Linux before 5.11 counts BPF maps against RLIMIT_MEMLOCK`,
        hint: "ulimit -l unlimited, then run it again (for a systemd unit: LimitMEMLOCK=infinity)",
      }),
  },
  {
    fits: (_, errno) => isTooMany(errno),
    explain: (facts, errno) => tooFewDescriptors(subjectOf(facts), errno),
  },
  {
    fits: (_, errno) => errno === "ENOMEM",
    explain: (facts) =>
      new Failure(`${subjectOf(facts)}: no memory`, {
        why: "the kernel, or this process's memory cgroup, had no memory left",
        hint: "free some memory or raise the cgroup's limit",
      }),
  },
  {
    fits: (facts, errno) => errno === "ENOENT" && facts.symbol !== undefined,
    explain: (facts) => missingSymbol(facts.symbol ?? "", facts.kernel),
  },
  {
    // The verifier gives up when a signal waits, and its log ends where it was.
    fits: (facts, errno) => errno === "EAGAIN" && (facts.step ?? "program") === "program",
    explain: (facts) =>
      new Failure(`${subjectOf(facts)}: not loaded, as the kernel was interrupted (EAGAIN)`, {
        why: "the verifier gives up when its thread is wanted elsewhere; it was tried five times",
        hint: "run it again, without a debugger, a profiler or a freezer at work on it",
      }),
  },
  {
    fits: (facts) => facts.step !== "map" && facts.step !== "attach" && hasVerdict(facts.log),
    explain: (facts) =>
      new VerifierError(facts.subject ?? "of the tracer", facts.log, { kernel: facts.kernel }),
  },
  {
    // The verifier has something to say of every program that it looks at.
    fits: (facts, errno) => errno === "EINVAL" && /program load failed/.test(facts.log),
    explain: (facts) =>
      new UnsupportedError("BPF programs that trace", {
        why: `Linux ${facts.kernel} refuses them unseen (EINVAL), as a kernel without CONFIG_BPF_EVENTS does`,
        hint: "a kernel with CONFIG_BPF_EVENTS, which takes CONFIG_PERF_EVENTS and CONFIG_KPROBE_EVENTS or CONFIG_UPROBE_EVENTS; distribution kernels have it",
      }),
  },
  {
    fits: (facts, errno) => isRefusal(errno) && facts.seccomp === true,
    explain: (facts, errno) => seccompRefuses(facts, errno),
  },
  {
    fits: (_, errno) => isRefusal(errno),
    explain: (facts, errno) =>
      new PrivilegeError("permission to use BPF and perf events", {
        why: `${subjectOf(facts)}: ${errno} although it runs as root: a container, seccomp or a security module forbids it`,
        hint: "run it on the host, outside containers; look for a denial in: dmesg",
      }),
  },
];

/** The most likely of those that may refuse: it is known to be there. */
function seccompRefuses(facts: LoadFailure, errno: string): PrivilegeError {
  return new PrivilegeError("permission to use BPF and perf events", {
    why: `${subjectOf(facts)}: ${errno} although it runs as root, and a seccomp filter is active`,
    hint: "let the filter allow bpf and perf_event_open (SystemCallFilter= of a systemd unit; docker run --privileged), or run it on the host",
  });
}

/** CAP_SYS_ADMIN allows everything; from 5.8 on CAP_BPF and CAP_PERFMON together do as well. */
export function missingCapabilities(
  facts: Pick<LoadFailure, "capabilities" | "features">,
): string[] {
  const held = facts.capabilities;
  const has = (number: number) => held === undefined || hasCapability(held, number);
  if (has(CAP_SYS_ADMIN)) return [];
  if (lacks(facts, "cap_bpf")) return ["CAP_SYS_ADMIN"];
  return [...(has(CAP_BPF) ? [] : ["CAP_BPF"]), ...(has(CAP_PERFMON) ? [] : ["CAP_PERFMON"])];
}

function isRefusal(errno: string): boolean {
  return errno === "EPERM" || errno === "EACCES";
}

const lacks = ({ features }: Pick<LoadFailure, "features">, name: FeatureName): boolean =>
  features?.has(name) === false;

/** A log that is more than libbpf's complaint about the errno. */
function hasVerdict(log: string): boolean {
  return log.split("\n").some((line) => line.trim() !== "" && !line.startsWith("libbpf:"));
}

function subjectOf(facts: LoadFailure): string {
  if (facts.subject === undefined) return "the BPF object";
  return facts.step === undefined || facts.step === "attach"
    ? facts.subject
    : `${facts.step} ${facts.subject}`;
}

function doing(facts: LoadFailure): string {
  return facts.step === "attach" ? "attaching" : facts.step === "map" ? "creating it" : "loading";
}

function lastLine(log: string): string | undefined {
  return log
    .split("\n")
    .findLast((line) => line.trim() !== "")
    ?.trim();
}

function errnoName(errno: number): string {
  const name = getSystemErrorName(-Math.abs(errno));
  return /^E[A-Z0-9]+$/.test(name) ? name : `errno ${Math.abs(errno)}`;
}

const isTooMany = (errno: string): boolean => errno === "EMFILE" || errno === "ENFILE";
