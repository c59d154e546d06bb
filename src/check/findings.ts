/** From facts of a host to what they mean for tracing, each with what to do about it. Pure. */

import { lockdownMode, missingCapabilities } from "../explain.ts";
import { hasCapability as has } from "../kernel/capability.ts";
import {
  CAP_BPF,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_NET_ADMIN,
  CAP_PERFMON,
  CAP_SYS_ADMIN,
  CAP_SYS_PTRACE,
  CAP_SYS_RESOURCE,
} from "../kernel/constants.ts";
import { features, type FeatureName } from "../kernel/feature_table.ts";
import { isAtLeast } from "../kernel/release.ts";
import { KERNELS_TRIED, TRIED_SINCE } from "../kernel/tried.ts";
import { errnoText } from "../record/errno.ts";
import type { HostFacts, Trial } from "./facts.ts";

/** `note`: tracing works, but not as well as it could. `problem`: it does not work. */
export type Status = "ok" | "note" | "problem";

export interface Finding {
  name: string;
  status: Status;
  found: string;
  /** The remedy; `null` where nothing is to be done. */
  fix: string | null;
}

export interface Verdict {
  /** The trial has the last word. */
  works: boolean;
  attach: "kprobe" | "tracepoint" | null;
  findings: readonly Finding[];
}

export function judge(facts: HostFacts, trial: Trial): Verdict {
  const findings = Object.entries(rules).map(([name, rule]): Finding => {
    const { status, found, fix = null } = rule(facts);
    // The trial opened all the same, so the missing thing is no problem.
    return { name, status: trial.opened && status === "problem" ? "note" : status, found, fix };
  });
  const explained = findings.some(({ status }) => status === "problem");
  return {
    works: trial.opened,
    attach: trial.opened ? trial.attach : null,
    findings: [...findings, { name: "trial", ...trialResult(trial, explained) }],
  };
}

// --- internal ---

interface Result {
  status: Status;
  found: string;
  fix?: string | null;
}

const ok = (found: string): Result => ({ status: "ok", found });
const note = (found: string, fix: string | null = null): Result => ({ status: "note", found, fix });
const problem = (found: string, fix: string): Result => ({ status: "problem", found, fix });

const OUTSIDE = "run it on the host itself";
/** How root gets what was taken from it. */
const grant = (names: string, euid: number): string =>
  euid === 0
    ? `${OUTSIDE}, or give it ${names} (docker run --cap-add, CapabilityBoundingSet= of a unit)`
    : "sudo tracer-bpf ...";

/** In the order in which they are shown. To add a finding, add a row. */
const rules: Readonly<Record<string, (facts: HostFacts) => Result>> = {
  // The release decides nothing: distributions bring later features back. The findings below ask the kernel itself.
  kernel({ kernel: { release, machine }, bpf }) {
    const found = `Linux ${release} ${machine}`;
    if (machine !== "x86_64" && machine !== "aarch64")
      return problem(found, "a machine with x86-64 or arm64; there is no executable for others");
    if (errnoText(bpf) === "ENOSYS" && !isAtLeast(release, "4.4"))
      return problem(
        `${found}, which has no BPF`,
        "Linux 4.4 or later, or RHEL or CentOS 7.6 or later",
      );
    return ok(isAtLeast(release, TRIED_SINCE) ? found : `${found}; tried were ${KERNELS_TRIED}`);
  },

  features({ missing, bpf }) {
    // A refusal to a user who may not ask looks like the answer of a kernel that lacks the feature.
    if (bpf !== 0) return ok("not known, as the bpf system call is refused");
    if (missing.length === 0) return ok("all that tracing makes use of");
    const texts = missing.map((name) => {
      const { since, without } = features[name];
      return `${name} (Linux ${since}): ${without}`;
    });
    return ok(`all but ${texts.join("; ")}`);
  },

  privilege({ euid, capabilities, missing: lacks }) {
    const missing = missingCapabilities({ capabilities, features: hasAllBut(lacks) });
    const who = euid === 0 ? "root" : `uid ${euid}`;
    if (missing.length === 0) return ok(`${who} with ${heldText(capabilities)}`);
    const fix =
      euid === 0
        ? `${OUTSIDE}, or in a container started with --privileged`
        : "sudo tracer-bpf ...";
    return problem(`${who} without ${missing.join(" and ")}`, fix);
  },

  network({ capabilities, euid }) {
    if (has(capabilities, CAP_NET_ADMIN))
      return ok("the guess can read the sequence numbers of its own connections");
    return problem(
      "no CAP_NET_ADMIN: the guess cannot read the sequence numbers of its own connections",
      grant("CAP_NET_ADMIN", euid),
    );
  },

  processes({ capabilities, euid }) {
    const missing = Object.entries({ CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH })
      .filter(([, number]) => !has(capabilities, number))
      .map(([name]) => name)
      .join(" and ");
    return missing === "" ||
      (missing === "CAP_DAC_READ_SEARCH" && has(capabilities, CAP_DAC_OVERRIDE))
      ? ok("the owners of sockets can be read from /proc")
      : note(
          `no ${missing}: the processes that hold other users' sockets are not known`,
          grant(missing, euid),
        );
  },

  executable({ file: { path, setid, capabilities } }) {
    if (!setid && !capabilities) return ok("gives no rights to the user who starts it");
    const what = setid ? "the setuid or setgid bit" : "file capabilities";
    return note(
      `${path} has ${what}: any user could run any code with its rights`,
      setid ? `chmod u-s,g-s ${path}` : `setcap -r ${path}`,
    );
  },

  lockdown({ lockdown, securityfs, missing }) {
    if (lockdown === null && !securityfs)
      return ok("not known, as securityfs is not mounted; the trial below tells");
    const mode = lockdownMode(lockdown);
    if (mode !== "confidentiality")
      return ok(
        lockdown === null
          ? "none"
          : mode === "none"
            ? "off"
            : `${mode}, which does not stop the tracer`,
      );
    if (!missing.includes("plain_loads"))
      return ok("confidentiality: no kprobes, but tracepoints, whose programs load what they read");
    return problem(
      "confidentiality: BPF may not read kernel memory",
      `boot with lockdown=integrity, or without lockdown; or Linux ${features.plain_loads.since} with its types (CONFIG_DEBUG_INFO_BTF)`,
    );
  },

  bpf({ bpf, seccomp }) {
    if (bpf === 0) return ok("the bpf system call works");
    if (errnoText(bpf) === "ENOSYS")
      return problem(
        "the bpf system call does not exist",
        `a kernel with CONFIG_BPF_SYSCALL; in a sandbox such as gVisor, ${OUTSIDE}`,
      );
    return problem(
      `the bpf system call is refused (${errnoText(bpf)})${seccomp ? ", and a seccomp filter is active" : ""}`,
      seccomp
        ? "a container without a seccomp filter for bpf, or the host itself"
        : "see privilege, memlock and namespaces",
    );
  },

  kprobes({ kprobes, hasKprobes, tracepoints }) {
    if (kprobes === "pmu") return ok("through the kprobe PMU");
    if (kprobes === "tracefs") return ok("through tracefs");
    const [found, fix] = hasKprobes
      ? [
          "the kernel has them, but no way to attach them is mounted",
          "mount -t tracefs tracefs /sys/kernel/tracing",
        ]
      : ["none", "a kernel with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS"];
    return tracepoints ? note(found, fix) : problem(found, fix);
  },

  tracepoints({ tracepoints, kprobes }) {
    if (tracepoints) return ok("raw tracepoints, with BPF_PROG_TEST_RUN");
    const found = "no BPF_PROG_TEST_RUN of raw tracepoints (Linux 5.10 and later)";
    return kprobes === null ? problem(found, "Linux 5.10 or later, or kprobes") : note(found);
  },

  tracefs({ tracefs, kprobes, hasKprobes }) {
    if (tracefs !== null) return ok(`at ${tracefs}`);
    return kprobes === null && hasKprobes
      ? note("not mounted: see kprobes")
      : ok("not mounted, and not needed");
  },

  btf: ({ btf }) =>
    btf
      ? ok("/sys/kernel/btf/vmlinux, which tracing does not need")
      : ok("none, which tracing does not need; offsets verify has nothing to compare with"),

  nat({ conntrack }) {
    if (conntrack === "asked") return ok("the kernel's connection tracking tells of translations");
    return conntrack === "none"
      ? ok("the kernel tracks no connections, so it translates none")
      : note(
          "connection tracking is there, but nf_conntrack_netlink is not loaded: translations of older connections are not known",
          "modprobe nf_conntrack_netlink",
        );
  },

  memlock({ memlock, missing, capabilities }) {
    const limit = memlock === null ? "unlimited" : `${memlock / 1024n} KiB`;
    if (!missing.includes("memcg_accounting"))
      return ok(`${limit}, which BPF does not count against`);
    if (memlock === null || has(capabilities, CAP_SYS_RESOURCE))
      return ok(memlock === null ? limit : `${limit}, which is raised at start`);
    return problem(
      `${limit}: Linux before 5.11 counts BPF maps against it`,
      "ulimit -l unlimited (for a systemd unit: LimitMEMLOCK=infinity)",
    );
  },

  perf({ paranoid, capabilities }) {
    if (paranoid === null) return ok("not restricted");
    const found = `perf_event_paranoid ${paranoid}`;
    if (has(capabilities, CAP_SYS_ADMIN)) return ok(`${found}, which does not restrict root`);
    if (paranoid < 3) return ok(found);
    return note(
      `${found} may refuse perf events to all but CAP_SYS_ADMIN`,
      "sysctl kernel.perf_event_paranoid=2, or root",
    );
  },

  ipv6({ ipv6 }) {
    if (ipv6 === "on") return ok("on");
    return ok(
      ipv6 === "off" ? "switched off; IPv4 is traced" : "not in this kernel; IPv4 is traced",
    );
  },

  cgroup: ({ cgroup }) => ok(cgroup === "none" ? "not mounted" : cgroup),

  namespaces({ namespaces: { pid, user, net } }) {
    const own = [
      ...(user === false ? ["user"] : []),
      ...(pid === false ? ["pid"] : []),
      ...(net === false ? ["network"] : []),
    ];
    const what = `own ${own.join(", ")} namespace${own.length > 1 ? "s" : ""}`;
    if (user === false)
      return problem(`${what}: rights inside it do not count for BPF`, `${OUTSIDE}, as its root`);
    if (pid === false)
      return note(
        `${what}: process ids are the host's, and with tracepoints the process of an accept is not known`,
        "a container started with --pid=host",
      );
    // Every network namespace is traced, whichever this is.
    return ok(own.length === 0 ? "the host's" : what);
  },

  container: ({ container, seccomp }) =>
    container === null
      ? ok("none")
      : note(
          `${container}${seccomp ? ", with a seccomp filter" : ""}`,
          "if something is refused: --privileged --pid=host, or the host itself",
        ),
};

function trialResult(trial: Trial, explained: boolean): Omit<Finding, "name"> {
  if (trial.opened) {
    const found = [trial.description, ...trial.notes].join("; ");
    return { status: trial.notes.length === 0 ? "ok" : "note", found, fix: null };
  }
  const found = trial.why === null ? trial.what : `${trial.what}: ${trial.why}`;
  return { status: "problem", found, fix: explained ? "see the problems above" : trial.hint };
}

const hasAllBut = (missing: readonly FeatureName[]) => ({
  has: (name: FeatureName) => !missing.includes(name),
});

/** The ones that tracing is about, of those that are held. */
const heldText = (capabilities: bigint): string =>
  Object.entries({ CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON })
    .filter(([, number]) => has(capabilities, number))
    .map(([name]) => name)
    .join(", ");
