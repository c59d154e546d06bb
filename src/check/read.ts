/** Reads the facts from the running host. Changes nothing. */

import { statSync } from "node:fs";
import {
  AF_INET6,
  RLIMIT_MEMLOCK,
  RLIM_INFINITY,
  SOCK_CLOEXEC,
  SOCK_STREAM,
} from "../kernel/constants.ts";
import { conntrackIsThere, ctnetlinkIsThere } from "../kernel/ctnetlink.ts";
import { capabilities, hasSeccompFilter, lockdownText, offeredBy } from "../kernel/host.ts";
import * as libc from "../kernel/libc.ts";
import { mounts } from "../kernel/mounts.ts";
import { openShim } from "../kernel/shim.ts";
import { textOf } from "../kernel/text_file.ts";
import type { HostFacts } from "./facts.ts";
import { cgroupVersionIn, containerOf, namespacesOf, tracefsIn } from "./parse.ts";

export function readFacts(): HostFacts {
  const { release, machine } = libc.uname();
  const all = mounts();
  const memlock = libc.getrlimit(0, RLIMIT_MEMLOCK);
  const paranoid = textOf("/proc/sys/kernel/perf_event_paranoid");
  return {
    kernel: { release, machine },
    euid: process.geteuid?.() ?? 0,
    capabilities: capabilities() ?? 0n,
    file: readFile(),
    lockdown: lockdownText(),
    securityfs: all.some(({ type }) => type === "securityfs"),
    ...offeredBy(openShim(), release),
    tracefs: tracefsIn(all),
    btf: exists("/sys/kernel/btf/vmlinux"),
    conntrack: !conntrackIsThere() ? "none" : ctnetlinkIsThere() ? "asked" : "silent",
    memlock: typeof memlock === "number" || memlock.soft === RLIM_INFINITY ? null : memlock.soft,
    paranoid: paranoid === null ? null : Number(paranoid),
    ipv6: readIpv6(),
    cgroup: cgroupVersionIn(all),
    namespaces: namespacesOf({
      pid: inode("/proc/self/ns/pid"),
      user: inode("/proc/self/ns/user"),
      net: inode("/proc/self/ns/net"),
      netOfInit: inode("/proc/1/ns/net"),
    }),
    container: containerOf({
      variable: process.env["container"] ?? variableOfInit(),
      dockerenv: exists("/.dockerenv"),
      containerenv: exists("/run/.containerenv"),
      cgroup: textOf("/proc/self/cgroup") ?? "",
    }),
    seccomp: hasSeccompFilter(),
  };
}

// --- internal ---

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;

function readFile(): HostFacts["file"] {
  const path = process.execPath;
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  return {
    path,
    setid: (mode & (S_ISUID | S_ISGID)) !== 0,
    capabilities: libc.getxattr(path, "security.capability", new Uint8Array(64)) > 0,
  };
}

function readIpv6(): HostFacts["ipv6"] {
  const fd = libc.socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "none";
  libc.close(fd);
  return textOf("/proc/sys/net/ipv6/conf/all/disable_ipv6")?.trim() === "1" ? "off" : "on";
}

/** Readable by root only. */
function variableOfInit(): string | null {
  const environment = textOf("/proc/1/environ") ?? "";
  const found = environment.split("\0").find((entry) => entry.startsWith("container="));
  return found === undefined ? null : found.slice("container=".length);
}

const inode = (path: string): number | null => {
  try {
    return statSync(path).ino;
  } catch {
    return null;
  }
};

const exists = (path: string): boolean => inode(path) !== null;
