/** `check` on this kernel, as root and not: what it finds is what is there. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { isAtLeast } from "../../src/kernel/release.ts";
import { uname } from "../../src/kernel/libc.ts";
import { has } from "./drive/modes.ts";
import { place, run } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const inGuest = process.env["VM_KERNEL"] !== undefined;

interface Finding {
  name: string;
  status: "ok" | "note" | "problem";
  found: string;
  fix: string | null;
}

interface Answer {
  exitCode: number;
  works: boolean;
  attach: string | null;
  findings: Finding[];
  of(name: string): Finding;
}

async function check(prefix: string[] = []): Promise<Answer> {
  const { exitCode, stdout, stderr } = await run(["check", "--json"], prefix);
  if (stdout === "") throw new Error(stderr);
  const answer = JSON.parse(stdout) as Answer;
  const of = (name: string) => answer.findings.find((finding) => finding.name === name)!;
  return { ...answer, exitCode, of };
}

/** Runs a command as a user without rights; a child of bun's, because not every guest has setpriv(1). */
const asNobody = [
  "env",
  "BUN_BE_BUN=1",
  process.execPath,
  "-e",
  `process.setgroups([]); process.setgid(65534); process.setuid(65534);
   const { BUN_BE_BUN: _, ...env } = process.env;
   const { exitCode } = Bun.spawnSync(process.argv.slice(1), { cwd: "/", env, stdio: ["ignore", "inherit", "inherit"] });
   process.exit(exitCode);`,
];

/** Asked once: an emulated guest takes long to open a trace. */
let asRoot: Answer;
beforeAll(async () => {
  asRoot = await check();
});

test("as root it can be traced, in the way that this kernel prefers, and the trial says so", () => {
  const answer = asRoot;
  expect(answer).toMatchObject({ exitCode: 0, works: true });
  expect(answer.attach).toBe(has.kprobe ? "kprobe" : "tracepoint");
  expect(answer.findings.filter(({ status }) => status === "problem")).toEqual([]);
  expect(answer.of("trial").found).toContain(`with ${answer.attach}s `);
  expect(answer.of("trial").found).toContain(` on Linux ${uname().release}`);
});

test("of a mainline kernel no feature is missing that came with its release or before", () => {
  const { found } = asRoot.of("features");
  const missing = [...found.matchAll(/(\w+) \(Linux (\d+\.\d+)\)/g)];
  const strange = missing.filter(
    // Without kprobes there is no place to look for their kinds; and a kernel that preempts goes without fentry.
    ([, name, since]) =>
      !["kprobe_pmu", "fentry"].includes(name!) && isAtLeast(uname().release, since!),
  );
  expect(strange.map(([text]) => text)).toEqual([]);
});

test("what it finds is what other sources say", () => {
  const { of } = asRoot;
  expect(of("kernel").found).toBe(`Linux ${uname().release} ${uname().machine}`);
  expect(of("privilege").found).toContain("root with CAP_SYS_ADMIN");
  expect(of("kprobes").status === "ok").toBe(has.kprobe);
  expect(of("tracepoints").status === "ok").toBe(has.tracepoint);
  expect(of("btf").found.startsWith("/sys/kernel/btf")).toBe(existsSync("/sys/kernel/btf/vmlinux"));
  const mounts = readFileSync("/proc/mounts", "utf8");
  expect(/v1/.test(of("cgroup").found)).toBe(/ cgroup /.test(mounts));
  expect(/v2/.test(of("cgroup").found)).toBe(/ cgroup2 /.test(mounts));
  expect(of("tracefs").found.startsWith("at ")).toBe(/ (tracefs|debugfs) /.test(mounts));
  const ipv6 =
    existsSync("/proc/net/if_inet6") && readFileSync("/proc/net/if_inet6", "utf8") !== "";
  if (ipv6) expect(of("ipv6").found).toBe("on");
});

test.skipIf(inGuest)("the text has a line per finding and ends with the verdict", async () => {
  const { exitCode, stdout, stderr } = await run(["check"]);
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  for (const { name } of asRoot.findings)
    expect(stdout).toMatch(new RegExp(`^(ok|note) +${name} `, "m"));
  expect(stdout).toMatch(/\nthis host can be traced, with (kprobe|tracepoint)s\n$/);
});

test("as an ordinary user it cannot, with exit code 3 and sudo as the way out", async () => {
  const answer = await check(asNobody);
  expect(answer).toMatchObject({ exitCode: 3, works: false, attach: null });
  expect(answer.of("privilege")).toMatchObject({ status: "problem", fix: "sudo tracer-bpf ..." });
  expect(answer.of("privilege").found).toStartWith("uid 65534 without CAP_");
  expect(answer.of("bpf")).toMatchObject({
    status: "problem",
    found: expect.stringContaining("EPERM"),
  });
  expect(answer.of("trial").found).toContain("tracing needs root");
  expect(answer.of("trial").fix).toContain("above");
});

test.skipIf(inGuest)("in namespaces of its own it says so", async () => {
  const own = await check(["unshare", "-p", "-f", "-n"]);
  expect(own.of("namespaces")).toMatchObject({
    status: "note",
    fix: expect.stringContaining("--pid=host"),
  });
  expect(own).toMatchObject({ exitCode: 0, works: true });
});

test("without CAP_NET_ADMIN both check and trace say so, with exit code 3", async () => {
  const lacking = place("no-net-admin");
  const answer = await check(lacking);
  expect(answer).toMatchObject({ exitCode: 3, works: false });
  expect(answer.of("network")).toMatchObject({
    status: "problem",
    fix: expect.stringContaining("CAP_NET_ADMIN"),
  });
  const { exitCode, stderr } = await run(["trace", "-d", "1s"], lacking);
  expect(stderr).toMatch(/^error: tracing needs CAP_NET_ADMIN\n {2}because: .*\n {2}try: /);
  expect(exitCode).toBe(3);
});

// A host may well be without kprobes; nothing of a host is hidden.
describe.skipIf(!inGuest || !has.tracepoint)("without a way to attach kprobes", () => {
  test("it says how to mount one, and takes the tracepoints", async () => {
    const hidden = [
      "/sys/bus/event_source/devices",
      "/sys/kernel/tracing",
      "/sys/kernel/debug/tracing",
    ];
    for (const dir of hidden) Bun.spawnSync(["mount", "-t", "tmpfs", "none", dir]);
    try {
      const answer = await check();
      expect(answer).toMatchObject({ exitCode: 0, attach: "tracepoint" });
      expect(answer.of("kprobes")).toMatchObject({
        status: "note",
        fix: "mount -t tracefs tracefs /sys/kernel/tracing",
      });
    } finally {
      for (const dir of hidden.toReversed()) Bun.spawnSync(["umount", dir]);
    }
  });
});
