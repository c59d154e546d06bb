/** Texts of /proc to facts. Pure. */

import { PROC_PID_INIT_INO, PROC_USER_INIT_INO } from "../kernel/constants.ts";
import type { Mount } from "../kernel/mounts.ts";
import type { CgroupVersion, Namespaces } from "./facts.ts";

/** The usual place first. Beneath debugfs it appears by itself, so debugfs counts as well. */
export function tracefsIn(mounts: readonly Mount[]): string | null {
  const places = [
    ...mounts.filter(({ type }) => type === "tracefs").map(({ at }) => at.toString()),
    ...mounts.filter(({ type }) => type === "debugfs").map(({ at }) => `${at.toString()}/tracing`),
  ];
  return places.find((at) => at === "/sys/kernel/tracing") ?? places[0] ?? null;
}

export function cgroupVersionIn(mounts: readonly Mount[]): CgroupVersion {
  const [v1, v2] = ["cgroup", "cgroup2"].map((type) => mounts.some((mount) => mount.type === type));
  if (v1 && v2) return "v1 and v2";
  return v2 ? "v2" : v1 ? "v1" : "none";
}

export interface NamespaceInodes {
  pid: number | null;
  user: number | null;
  net: number | null;
  /** Of process 1, which is the host's only in the initial pid namespace. */
  netOfInit: number | null;
}

export function namespacesOf({ pid, user, net, netOfInit }: NamespaceInodes): Namespaces {
  // A network namespace has no fixed inode.
  const initialPid = pid === null ? null : pid === PROC_PID_INIT_INO;
  const comparable = initialPid === true && net !== null && netOfInit !== null;
  return {
    pid: initialPid,
    // A kernel without user namespaces has no file for them.
    user: user === null ? true : user === PROC_USER_INIT_INO,
    net: comparable ? net === netOfInit : null,
  };
}

export interface ContainerHints {
  /** The variable `container` of this process or of process 1. */
  variable: string | null;
  dockerenv: boolean;
  containerenv: boolean;
  /** /proc/self/cgroup. */
  cgroup: string;
}

/** To add a kind, add a row: what its paths of cgroups look like. */
const containerCgroups: readonly [RegExp, string][] = [
  [/kubepods/, "Kubernetes"],
  [/docker/, "Docker"],
  [/libpod/, "Podman"],
  [/crio-/, "CRI-O"],
  [/containerd/, "containerd"],
  [/lxc/, "LXC"],
  [/machine\.slice/, "systemd-nspawn or a machine of libvirt"],
];

export function containerOf(hints: ContainerHints): string | null {
  const byCgroup = containerCgroups.find(([path]) => path.test(hints.cgroup))?.[1];
  if (byCgroup !== undefined) return byCgroup;
  if (hints.dockerenv) return "Docker";
  if (hints.containerenv) return "Podman";
  return hints.variable === null || hints.variable === "" ? null : hints.variable;
}
