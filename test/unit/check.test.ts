/** Findings of `check` for hosts that differ from this one. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { HostFacts, Trial } from "../../src/check/facts.ts";
import { judge, type Status } from "../../src/check/findings.ts";
import { cgroupVersionIn, containerOf, namespacesOf, tracefsIn } from "../../src/check/parse.ts";
import { capability } from "../../src/kernel/capability.ts";
import * as k from "../../src/kernel/constants.ts";
import { parseMounts } from "../../src/kernel/mounts.ts";
import { verdictJson, verdictText } from "../../src/check/report.ts";

const every = (1n << 41n) - 1n;
const without = (...numbers: number[]) => every & ~capability(...numbers);

const good: HostFacts = {
  kernel: { release: "6.12.1", machine: "x86_64" },
  euid: 0,
  capabilities: every,
  file: { path: "/usr/bin/tracer-bpf", setid: false, capabilities: false },
  lockdown: "[none] integrity confidentiality\n",
  securityfs: true,
  bpf: 0,
  kprobes: "pmu",
  hasKprobes: true,
  tracepoints: true,
  missing: [],
  tracefs: "/sys/kernel/tracing",
  btf: true,
  conntrack: "asked",
  memlock: 8n << 20n,
  paranoid: 2,
  ipv6: "on",
  cgroup: "v2",
  namespaces: { pid: true, user: true, net: true },
  container: null,
  seccomp: false,
};
const opened: Trial = {
  opened: true,
  attach: "kprobe",
  description: "tracing TCP with kprobes on Linux 6.12.1, offsets guessed in 92 ms",
  notes: [],
};
const refused: Trial = { opened: false, what: "tracing needs root", why: "uid 1", hint: "sudo" };

const old: Partial<HostFacts> = {
  kernel: { release: "4.19.0", machine: "x86_64" },
  missing: ["memcg_accounting", "cap_bpf"],
};

test("of a host with everything nothing is noted, and nothing is to be done", () => {
  const verdict = judge(good, opened);
  expect(verdict).toMatchObject({ works: true, attach: "kprobe" });
  expect(verdict.findings.filter(({ status, fix }) => status !== "ok" || fix !== null)).toEqual([]);
});

test("the guide's example has every finding, in their order", () => {
  const guide = readFileSync(new URL("../../docs/guide.md", import.meta.url), "utf8");
  const [, example] = /^    sudo tracer-bpf check\n\n```\n([^`]*)```/m.exec(guide)!;
  const shown = [...example!.matchAll(/^(?:ok|note|problem) +(\w+)/gm)].map(([, name]) => name!);
  expect(shown).toEqual(judge(good, opened).findings.map(({ name }) => name));
});

describe("a finding", () => {
  /** To add a case, add a row: what is different on this host, the finding, its status, its text, its fix. */
  const cases: [string, Partial<HostFacts>, string, Status, RegExp, RegExp | null][] = [
    [
      "a kernel from before BPF",
      { kernel: { release: "3.10.0-862.el7", machine: "x86_64" }, bpf: 38 },
      "kernel",
      "problem",
      /3\.10.*no BPF/,
      /4\.4.*7\.6/,
    ],
    [
      "an old release into which BPF was brought back",
      { kernel: { release: "3.10.0-1160.el7", machine: "x86_64" } },
      "kernel",
      "ok",
      /3\.10/,
      null,
    ],
    [
      "a kernel older than those of the archive: the ones that were tried are named",
      { kernel: { release: "4.9.0-19-amd64", machine: "x86_64" } },
      "kernel",
      "ok",
      /^Linux 4\.9\.0-19-amd64 x86_64; tried were .*4\.4\.155, 4\.14\.67/,
      null,
    ],
    [
      "a user who may not ask for features",
      { euid: 1000, capabilities: 0n, bpf: 1, missing: ["test_run", "current_task"] },
      "features",
      "ok",
      /^not known, .*bpf system call is refused$/,
      null,
    ],
    [
      "another machine",
      { kernel: { release: "6.1.0", machine: "riscv64" } },
      "kernel",
      "problem",
      /riscv64/,
      /arm64/,
    ],
    [
      "an ordinary user",
      { euid: 1000, capabilities: 0n },
      "privilege",
      "problem",
      /uid 1000 without CAP_BPF and CAP_PERFMON/,
      /^sudo/,
    ],
    [
      "an ordinary user of an old kernel",
      { euid: 1000, capabilities: 0n, ...old },
      "privilege",
      "problem",
      /without CAP_SYS_ADMIN/,
      /^sudo/,
    ],
    [
      "root of a container",
      { capabilities: without(k.CAP_SYS_ADMIN, k.CAP_PERFMON, k.CAP_BPF) },
      "privilege",
      "problem",
      /root without/,
      /--privileged/,
    ],
    [
      "a unit with two capabilities",
      { euid: 999, capabilities: capability(k.CAP_PERFMON, k.CAP_BPF) },
      "privilege",
      "ok",
      /uid 999 with CAP_BPF, CAP_PERFMON/,
      null,
    ],
    [
      "a unit that may not look into processes",
      { capabilities: without(k.CAP_DAC_READ_SEARCH, k.CAP_DAC_OVERRIDE, k.CAP_SYS_PTRACE) },
      "processes",
      "note",
      /^no CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH:/,
      /CapabilityBoundingSet/,
    ],
    [
      "a user that may not look into processes",
      { euid: 999, capabilities: without(k.CAP_SYS_PTRACE) },
      "processes",
      "note",
      /^no CAP_SYS_PTRACE:/,
      /^sudo/,
    ],
    [
      "root that may read everything by another capability",
      { capabilities: without(k.CAP_DAC_READ_SEARCH) },
      "processes",
      "ok",
      /owners/,
      null,
    ],
    [
      "a container with --cap-add SYS_ADMIN alone",
      { capabilities: capability(k.CAP_SYS_ADMIN) },
      "network",
      "problem",
      /^no CAP_NET_ADMIN/,
      /--cap-add/,
    ],
    [
      "a setuid file",
      { file: { path: "/x", setid: true, capabilities: false } },
      "executable",
      "note",
      /\/x has the setuid/,
      /chmod u-s,g-s \/x/,
    ],
    [
      "a file with capabilities",
      { file: { path: "/x", setid: false, capabilities: true } },
      "executable",
      "note",
      /\/x has file cap/,
      /setcap -r \/x/,
    ],
    [
      "lockdown that matters",
      { lockdown: "none integrity [confidentiality]\n", missing: ["plain_loads"] },
      "lockdown",
      "problem",
      /confidentiality/,
      /lockdown=integrity/,
    ],
    [
      "the same where programs load what they read",
      { lockdown: "none integrity [confidentiality]\n" },
      "lockdown",
      "ok",
      /confidentiality: no kprobes, but tracepoints/,
      null,
    ],
    [
      "lockdown that does not",
      { lockdown: "none [integrity] confidentiality\n" },
      "lockdown",
      "ok",
      /integrity, which does not stop the tracer/,
      null,
    ],
    [
      "lockdown that cannot be read",
      { lockdown: null, securityfs: false },
      "lockdown",
      "ok",
      /not known, as securityfs is not mounted/,
      null,
    ],
    ["no lockdown in the kernel", { lockdown: null }, "lockdown", "ok", /none/, null],
    ["no bpf", { bpf: 38 }, "bpf", "problem", /does not exist/, /CONFIG_BPF_SYSCALL/],
    ["bpf refused", { bpf: 1 }, "bpf", "problem", /EPERM/, /privilege/],
    [
      "bpf refused where seccomp is",
      { bpf: 1, seccomp: true },
      "bpf",
      "problem",
      /seccomp/,
      /seccomp/,
    ],
    ["kprobes by tracefs", { kprobes: "tracefs" }, "kprobes", "ok", /tracefs/, null],
    [
      "kprobes that cannot be reached, with tracepoints",
      { kprobes: null },
      "kprobes",
      "note",
      /no way to attach/,
      /mount -t tracefs/,
    ],
    [
      "kprobes that cannot be reached, alone",
      { kprobes: null, tracepoints: false },
      "kprobes",
      "problem",
      /no way to attach/,
      /mount -t tracefs/,
    ],
    [
      "no kprobes",
      { kprobes: null, hasKprobes: false },
      "kprobes",
      "note",
      /none/,
      /CONFIG_KPROBE_EVENTS/,
    ],
    ["no tracepoints, but kprobes", { tracepoints: false }, "tracepoints", "note", /5\.10/, null],
    [
      "neither",
      { tracepoints: false, kprobes: null, hasKprobes: false },
      "tracepoints",
      "problem",
      /5\.10/,
      /5\.10/,
    ],
    [
      "no tracefs where it is missed",
      { tracefs: null, kprobes: null },
      "tracefs",
      "note",
      /see kprobes/,
      null,
    ],
    ["no tracefs where it is not", { tracefs: null }, "tracefs", "ok", /not needed/, null],
    ["no BTF", { btf: false }, "btf", "ok", /does not need/, null],
    ["no conntrack", { conntrack: "none" }, "nat", "ok", /tracks no connections/, null],
    [
      "conntrack that cannot be asked",
      { conntrack: "silent" },
      "nat",
      "note",
      /nf_conntrack_netlink is not loaded/,
      /^modprobe nf_conntrack_netlink$/,
    ],
    [
      "little memory to lock, before 5.11, of root",
      { memlock: 65536n, ...old },
      "memlock",
      "ok",
      /64 KiB, which is raised/,
      null,
    ],
    [
      "the same of a user",
      { memlock: 65536n, ...old, capabilities: capability(k.CAP_SYS_ADMIN) },
      "memlock",
      "problem",
      /64 KiB/,
      /LimitMEMLOCK/,
    ],
    [
      "the same from 5.11 on",
      { memlock: 65536n, capabilities: capability(k.CAP_SYS_ADMIN) },
      "memlock",
      "ok",
      /does not count/,
      null,
    ],
    ["no limit", { memlock: null, ...old }, "memlock", "ok", /unlimited/, null],
    [
      "Debian's perf_event_paranoid, for capabilities",
      { paranoid: 3, capabilities: capability(k.CAP_PERFMON) },
      "perf",
      "note",
      /3 may refuse/,
      /sysctl/,
    ],
    ["the same for root", { paranoid: 3 }, "perf", "ok", /does not restrict root/, null],
    ["IPv6 switched off", { ipv6: "off" }, "ipv6", "ok", /switched off/, null],
    ["no IPv6", { ipv6: "none" }, "ipv6", "ok", /not in this kernel/, null],
    ["cgroup v1", { cgroup: "v1" }, "cgroup", "ok", /^v1$/, null],
    [
      "a user namespace",
      { namespaces: { pid: true, user: false, net: true } },
      "namespaces",
      "problem",
      /own user namespace/,
      /host itself/,
    ],
    [
      "a pid namespace",
      { namespaces: { pid: false, user: true, net: null } },
      "namespaces",
      "note",
      /own pid namespace/,
      /--pid=host/,
    ],
    [
      "a network namespace",
      { namespaces: { pid: true, user: true, net: false } },
      "namespaces",
      "ok",
      /own network namespace/,
      null,
    ],
    [
      "a container",
      { container: "Docker", seccomp: true },
      "container",
      "note",
      /Docker, with a seccomp filter/,
      /--privileged/,
    ],
  ];

  test.each(cases)("%s", (_, change, name, status, found, fix) => {
    // Where tracing is refused, so that a problem is shown as one.
    const finding = judge({ ...good, ...change }, refused).findings.find(
      (row) => row.name === name,
    );
    expect(finding?.status).toBe(status);
    expect(finding?.found).toMatch(found);
    if (fix === null) expect(finding?.fix).toBeNull();
    else expect(finding?.fix).toMatch(fix);
  });
});

describe("the trial has the last word", () => {
  test("what it did without is a note", () => {
    const { works, findings } = judge({ ...good, euid: 1000, capabilities: 0n }, opened);
    expect(works).toBe(true);
    expect(findings.find(({ name }) => name === "privilege")?.status).toBe("note");
    expect(findings.filter(({ status }) => status === "problem")).toEqual([]);
  });

  test("what nothing explains has the trial's own fix", () => {
    const { works, attach, findings } = judge(good, refused);
    expect([works, attach]).toEqual([false, null]);
    expect(findings.at(-1)).toEqual({
      name: "trial",
      status: "problem",
      found: "tracing needs root: uid 1",
      fix: "sudo",
    });
  });

  test("what another finding explains refers to it", () => {
    expect(judge({ ...good, capabilities: 0n }, refused).findings.at(-1)?.fix).toMatch(/above/);
  });

  test("its notes are shown", () => {
    const last = judge(good, { ...opened, notes: ["srtt_us is not known"] }).findings.at(-1);
    expect(last?.status).toBe("note");
    expect(last?.found).toContain("srtt_us is not known");
  });
});

describe("reading /proc", () => {
  const mountinfo = [
    "22 1 0:21 / /proc rw,nosuid - proc proc rw",
    "23 1 0:22 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro",
    "24 23 0:23 / /sys/fs/cgroup/memory rw shared:10 master:1 - cgroup cgroup rw,memory",
    "25 1 0:24 / /sys/kernel/debug rw - debugfs debugfs rw",
  ].join("\n");

  test("tracefs is also found beneath debugfs", () => {
    const mounts = parseMounts(mountinfo);
    expect(cgroupVersionIn(mounts)).toBe("v1");
    expect(tracefsIn(mounts)).toBe("/sys/kernel/debug/tracing");
  });

  test("tracefs at its own place is preferred, and both cgroups are told", () => {
    const more = parseMounts(
      `${mountinfo}\n27 1 0:26 / /sys/kernel/tracing rw - tracefs tracefs rw\n28 1 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`,
    );
    expect(tracefsIn(more)).toBe("/sys/kernel/tracing");
    expect(cgroupVersionIn(more)).toBe("v1 and v2");
    expect(tracefsIn([])).toBeNull();
    expect(cgroupVersionIn([])).toBe("none");
  });

  test("namespaces are known by their fixed inodes, the network's by comparison with process 1", () => {
    const initial = { pid: 4026531836, user: 4026531837, net: 4026531840, netOfInit: 4026531840 };
    expect(namespacesOf(initial)).toEqual({ pid: true, user: true, net: true });
    expect(namespacesOf({ ...initial, net: 7 }).net).toBe(false);
    expect(namespacesOf({ ...initial, pid: 7 })).toEqual({ pid: false, user: true, net: null });
    expect(namespacesOf({ ...initial, user: 7, netOfInit: null })).toEqual({
      pid: true,
      user: false,
      net: null,
    });
    expect(namespacesOf({ pid: null, user: null, net: null, netOfInit: null })).toEqual({
      pid: null,
      user: true,
      net: null,
    });
  });

  const none = { variable: null, dockerenv: false, containerenv: false, cgroup: "0::/\n" };

  test.each([
    [{}, null],
    [{ dockerenv: true }, "Docker"],
    [{ containerenv: true }, "Podman"],
    [{ variable: "lxc" }, "lxc"],
    [{ variable: "" }, null],
    [{ dockerenv: true, cgroup: "0::/kubepods.slice/x" }, "Kubernetes"],
    [{ cgroup: "5:memory:/docker/0123\n" }, "Docker"],
    [{ cgroup: "0::/user.slice/libpod-01.scope" }, "Podman"],
    [{ cgroup: "0::/system.slice/ssh.service" }, null],
  ])("%j is in container %p", (hints, container) => {
    expect(containerOf({ ...none, ...hints })).toBe(container);
  });
});

describe("the report", () => {
  const verdict = judge({ ...good, container: "\x1b[31mevil" }, opened);

  test("as JSON says what the verdict says", () => {
    expect(JSON.parse(verdictJson(verdict))).toEqual({ v: 1, ...verdict });
    expect(verdictJson(verdict)).not.toContain("\x1b");
    expect(JSON.parse(verdictJson(judge(good, refused)))).toMatchObject({ attach: null });
  });

  test("as text is aligned, ends with the verdict, and is safe to print", () => {
    const text = verdictText(verdict, false);
    expect(text).not.toContain("\x1b");
    expect(text).toContain("note     container    \\x1b[31mevil\n                      try: if");
    expect(text).toEndWith("\nthis host can be traced, with kprobes\n");
    expect(verdictText(judge(good, refused), false)).toEndWith("cannot be traced as it is\n");
    expect(Bun.stripANSI(verdictText(verdict, true))).toBe(text);
    expect(verdictText(verdict, true)).not.toBe(text);
  });
});
