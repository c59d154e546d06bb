/** The facts of a host that `check` judges. Pure types. */

import type { FeatureName } from "../kernel/feature_table.ts";
import type { AttachMode } from "../kernel/host.ts";

export interface HostFacts {
  kernel: { release: string; machine: string };
  euid: number;
  /** CapEff. */
  capabilities: bigint;
  /** The executable: whether it would give rights to whoever starts it. */
  file: { path: string; setid: boolean; capabilities: boolean };
  /** The text of /sys/kernel/security/lockdown, null where there is none. */
  lockdown: string | null;
  /** securityfs, which the text is in, is mounted. */
  securityfs: boolean;
  /** The answer of bpf(2) to a map of one entry: 0, or a positive errno. */
  bpf: number;
  /** How kprobes can be had. */
  kprobes: "pmu" | "tracefs" | null;
  /** The kernel has kprobes, whether or not they can be had. */
  hasKprobes: boolean;
  tracepoints: boolean;
  /** Features that the kernel was asked for and lacks. */
  missing: readonly FeatureName[];
  /** Where tracefs is mounted. */
  tracefs: string | null;
  btf: boolean;
  /** Connection tracking: not there, there, or there and to be asked through ctnetlink. */
  conntrack: "none" | "silent" | "asked";
  /** RLIMIT_MEMLOCK in bytes, null for none. */
  memlock: bigint | null;
  /** kernel.perf_event_paranoid, null where it cannot be read. */
  paranoid: number | null;
  ipv6: "on" | "off" | "none";
  cgroup: CgroupVersion;
  namespaces: Namespaces;
  /** The kind of container that this process seems to run in. */
  container: string | null;
  /** A seccomp filter is at work. */
  seccomp: boolean;
}

export type CgroupVersion = "v1" | "v2" | "v1 and v2" | "none";

/** Whether each is the initial one; null: cannot be told. */
export interface Namespaces {
  pid: boolean | null;
  user: boolean | null;
  net: boolean | null;
}

/** The result of opening a trace and closing it at once. */
export type Trial =
  | { opened: true; attach: AttachMode; description: string; notes: readonly string[] }
  | { opened: false; what: string; why: string | null; hint: string | null };
