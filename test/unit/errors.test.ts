import { describe, expect, test } from "bun:test";
import { capability } from "../../src/kernel/capability.ts";
import { CAP_NET_ADMIN } from "../../src/kernel/constants.ts";
import {
  exitCodeOf,
  Failure,
  formatError,
  GuessError,
  PrivilegeError,
  summarizeVerifierLog,
  UnsupportedError,
  UsageError,
  VerifierError,
} from "../../src/errors.ts";
import {
  attachModeMissing,
  guessForbidden,
  explainLoadFailure,
  lockdownMode,
  missingSymbol,
  noWayToAttach,
  type LoadFailure,
} from "../../src/explain.ts";

const [EPERM, ENOENT, EAGAIN, ENOMEM, EACCES, EINVAL, EMFILE, ENOSYS] = [
  1, 2, 11, 12, 13, 22, 24, 38,
] as const;

const refusedLog = [
  "libbpf: prog 'on_close': BPF program load failed: Permission denied",
  "libbpf: prog 'on_close': -- BEGIN PROG LOAD LOG --",
  "0: R1=ctx(off=0,imm=0) R10=fp0",
  "0: (bf) r6 = r1",
  "1: (79) r1 = *(u64 *)(r6 +800)",
  "invalid bpf_context access off=800 size=8",
  "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0",
  "-- END PROG LOAD LOG --",
  "libbpf: prog 'on_close': failed to load: -13",
].join("\n");

const facts: LoadFailure = {
  errno: EPERM,
  log: "",
  lockdown: null,
  euid: 0,
  kernel: "6.1.0-31-amd64",
};
const allCapabilities = (1n << 41n) - 1n;
const old = { has: () => false };
const newer = { has: () => true };

describe("why the kernel refused", () => {
  /** To add a case, add a row: the facts, and what must be read in the message. */
  const cases: [string, Partial<LoadFailure>, string, RegExp][] = [
    ["an ordinary user", { euid: 1000 }, "PrivilegeError", /root[^]*uid 1000[^]*sudo/],
    [
      "an ordinary user, told EACCES",
      { euid: 1000, errno: EACCES, log: refusedLog },
      "PrivilegeError",
      /sudo/,
    ],
    ["a kernel without BPF", { errno: ENOSYS }, "UnsupportedError", /BPF[^]*CONFIG_BPF_SYSCALL/],
    [
      "lockdown in confidentiality mode, told EPERM",
      { lockdown: "none integrity [confidentiality]\n" },
      "UnsupportedError",
      /lockdown mode "confidentiality"[^]*integrity/,
    ],
    [
      "lockdown in confidentiality mode, told by a misleading verifier",
      {
        errno: EINVAL,
        log: "unknown func bpf_probe_read#4",
        lockdown: "none integrity [confidentiality]",
      },
      "UnsupportedError",
      /lockdown/,
    ],
    [
      "the same where securityfs is not mounted, in the words of older kernels",
      {
        errno: EINVAL,
        step: "program",
        log: "12: (85) call bpf_probe_read#4\nunknown func bpf_probe_read#4",
      },
      "UnsupportedError",
      /lockdown mode "confidentiality"[^]*integrity/,
    ],
    [
      "the same, in those of later ones",
      {
        errno: EINVAL,
        step: "program",
        log: "program of this type cannot use helper bpf_probe_read#4",
      },
      "UnsupportedError",
      /lockdown mode "confidentiality"[^]*integrity/,
    ],
    [
      "a kernel without programs of that kind",
      {
        errno: EINVAL,
        log: "libbpf: prog 'on_close': BPF program load failed: Invalid argument\nlibbpf: failed to load object 'trace'",
      },
      "UnsupportedError",
      /CONFIG_BPF_EVENTS/,
    ],
    [
      "lockdown in confidentiality mode, for an ordinary user: root can be told more",
      { euid: 1000, lockdown: "none integrity [confidentiality]" },
      "PrivilegeError",
      /root/,
    ],
    [
      "kprobes in lockdown mode, where programs load what they read",
      { features: newer, lockdown: "none integrity [confidentiality]", subject: "the guess" },
      "UnsupportedError",
      /kprobes[^]*lockdown mode[^]*--attach tracepoint/,
    ],
    [
      "lockdown in integrity mode, which is not to blame",
      {
        lockdown: "none [integrity] confidentiality",
        errno: EACCES,
        log: refusedLog,
        step: "program",
        subject: "on_close",
      },
      "VerifierError",
      /on_close[^]*invalid bpf_context access/,
    ],
    [
      "too little locked memory on 4.19",
      { features: old, step: "map", subject: "conns", capabilities: allCapabilities },
      "UnsupportedError",
      /locked memory[^]*map conns[^]*RLIMIT_MEMLOCK[^]*ulimit -l unlimited/,
    ],
    [
      "too little locked memory on 5.10, told ENOMEM",
      { features: old, errno: ENOMEM, step: "map", subject: "conns" },
      "UnsupportedError",
      /ulimit -l/,
    ],
    [
      "a limit of file descriptors that may not be raised",
      { errno: EMFILE, step: "attach", subject: "kprobe tcp_connect" },
      "UnsupportedError",
      /file descriptors[^]*kprobe tcp_connect[^]*ulimit -n/,
    ],
    [
      "no memory on 5.11, which has no such limit",
      { features: newer, errno: ENOMEM, step: "map" },
      "Failure",
      /no memory/,
    ],
    [
      "root of a container on 4.19, where a map is refused for another reason",
      { features: old, step: "map", capabilities: 0xa80425fbn },
      "PrivilegeError",
      /CAP_SYS_ADMIN[^]*container/,
    ],
    [
      "root of a container on 6.1",
      { capabilities: 0xa80425fbn },
      "PrivilegeError",
      /CAP_BPF and CAP_PERFMON[^]*container/,
    ],
    [
      "root that a sandbox forbids it",
      { capabilities: allCapabilities },
      "PrivilegeError",
      /EPERM although it runs as root[^]*seccomp/,
    ],
    [
      "root that a seccomp filter forbids it, told EPERM",
      { capabilities: allCapabilities, seccomp: true },
      "PrivilegeError",
      /EPERM although it runs as root, and a seccomp filter is active[^]*SystemCallFilter=/,
    ],
    [
      "the same, told ENOSYS",
      { errno: ENOSYS, seccomp: true },
      "PrivilegeError",
      /ENOSYS[^]*seccomp filter is active[^]*SystemCallFilter=/,
    ],
    [
      "a host that hides its processors",
      { errno: ENOENT, step: "program", subject: "trace", cpusKnown: false },
      "UnsupportedError",
      /list of processors[^]*\/sys\/devices\/system\/cpu[^]*mount -t sysfs/,
    ],
    [
      "the same, as a probe is attached",
      { errno: ENOENT, step: "attach", symbol: "tcp_close", cpusKnown: false },
      "UnsupportedError",
      /list of processors/,
    ],
    [
      "a missing symbol",
      { errno: ENOENT, step: "attach", symbol: "tcp_close" },
      "UnsupportedError",
      /kernel function tcp_close[^]*kallsyms/,
    ],
    [
      "a verifier refusal",
      { errno: EACCES, log: refusedLog, subject: "on_close" },
      "VerifierError",
      /program on_close[^]*Linux 6\.1\.0/,
    ],
    [
      "a signal while the verifier was at work, whose log then ends anywhere",
      { errno: EAGAIN, log: "2: (7b) *(u64 *)(r10 -176) = r6", step: "program", subject: "trace" },
      "Failure",
      /program trace: not loaded[^]*EAGAIN[^]*run it again/,
    ],
    ["a negative errno", { errno: -ENOSYS }, "UnsupportedError", /BPF/],
    [
      "an errno nobody foresaw",
      { errno: 28, step: "attach", subject: "kprobe tcp_close", log: "a\nfull\n" },
      "Failure",
      /kprobe tcp_close: attaching failed with ENOSPC[^]*full[^]*--debug/,
    ],
    ["an errno without a name", { errno: 4000 }, "Failure", /errno 4000/],
    [
      "a kernel that nobody asked",
      { kernel: "?", errno: ENOMEM, step: "map" },
      "Failure",
      /no memory/,
    ],
  ];

  test.each(cases)("%s", (_, given, name, text) => {
    const error = explainLoadFailure({ ...facts, ...given });
    expect(error.name).toBe(name);
    expect(formatError(error, false)).toMatch(text);
    expect(error.hint).not.toBeNull();
    expect(exitCodeOf(error)).toBe(name === "Failure" ? 1 : 3);
  });

  test.each([
    ["none integrity [confidentiality]\n", "confidentiality"],
    ["[none] integrity confidentiality\n", "none"],
    ["", "none"],
    [null, "none"],
  ])("the lockdown text %j means %s", (text, mode) => {
    expect(lockdownMode(text)).toBe(mode);
  });

  test("without CAP_NET_ADMIN the guess is not begun", () => {
    const all = (1n << 41n) - 1n;
    expect(guessForbidden(all)).toBeNull();
    expect(guessForbidden(null)).toBeNull();
    const error = guessForbidden(all & ~capability(CAP_NET_ADMIN))!;
    expect(error.message).toBe("tracing needs CAP_NET_ADMIN");
    expect(exitCodeOf(error)).toBe(3);
  });

  test("what the host lacks is exit code 3 and says what would help", () => {
    for (const error of [
      noWayToAttach("4.4.0"),
      attachModeMissing("kprobe", "6.1.0"),
      attachModeMissing("tracepoint", "4.14.0"),
      missingSymbol("tcp_close", "6.1.0", ["tcp_close", "tcp_close.isra.0"]),
    ]) {
      expect(exitCodeOf(error)).toBe(3);
      expect(error.why).not.toBeNull();
      expect(error.hint).not.toBeNull();
    }
    expect(missingSymbol("tcp_close", "6.1.0", ["tcp_close", "tcp_close.isra.0"]).why).toEndWith(
      "(tried tcp_close.isra.0)",
    );
  });
});

describe("the printer", () => {
  test("says what, why and what to do", () => {
    const error = new Failure("map conns: full", { why: "too many", hint: "wait" });
    expect(formatError(error, false)).toBe(
      "error: map conns: full\n  because: too many\n  try: wait\n",
    );
  });

  test("leaves out what is not known", () => {
    expect(formatError(new Failure("it broke"), false)).toBe("error: it broke\n");
  });

  test("takes the cause's message for the reason, and keeps the cause", () => {
    const cause = new Error("ENOSPC");
    const error = new Failure("disk", { cause });
    expect(error.why).toBe("ENOSPC");
    expect(error.cause).toBe(cause);
    expect(formatError(error, true)).toContain("caused by: Error: ENOSPC");
  });

  test("escapes what could harm a terminal, in every part", () => {
    const error = new Failure("a\x1b[2J", { why: "b\nerror: forged", hint: "c\u202e" });
    expect(formatError(error, false)).toBe(
      "error: a\\x1b[2J\n  because: b\\x0aerror: forged\n  try: c\\u{202e}\n",
    );
  });

  test("a usage error is exit code 2 and points to the help", () => {
    const error = new UsageError("unknown flag --jsn", {
      command: "t trace",
      suggestion: "--json",
    });
    expect(exitCodeOf(error)).toBe(2);
    expect(formatError(error, false)).toBe(
      "error: unknown flag --jsn\n  try: --json (see t trace --help)\n",
    );
  });

  test("a guess error names the field, its struct and what was left", () => {
    expect(new GuessError("sk_err", [], { struct: "sock" }).message).toBe(
      "cannot guess the offset of sk_err in struct sock (no candidate left)",
    );
    const many = Array.from({ length: 11 }, (_, i) => i);
    expect(new GuessError("sk_err", many).message).toEndWith(
      "(11 candidates left: 0, 1, 2, 3, 4, 5, 6, 7, ...)",
    );
    expect(exitCodeOf(new GuessError("sk_err", [], { hint: "x" }))).toBe(1);
  });

  test("an unsupported feature says since when it exists", () => {
    expect(new UnsupportedError("kprobes", { since: "4.4" }).message).toContain(
      "Linux 4.4 and later",
    );
    expect(new PrivilegeError("root", {}).missing).toBe("root");
  });

  test.each([
    [new TypeError("x is undefined"), "TypeError: x is undefined"],
    ["text", "text"],
    [undefined, "undefined"],
    [Object.create(null), "something that is no error was thrown"],
  ])("anything else is one line, a bug of ours, exit code 1: %#", (thrown, text) => {
    expect(formatError(thrown, false)).toBe(
      `error: internal error: ${text} (--debug shows the stack)\n`,
    );
    expect(exitCodeOf(thrown)).toBe(1);
  });

  test("--debug shows the stack of a bug, and of causes that go in a circle", () => {
    const error: Error = new RangeError("deep");
    error.cause = error;
    const text = formatError(error, true);
    expect(text).toContain("errors.test.ts");
    expect(text).toContain("caused by:");
  });
});

describe("a verifier log", () => {
  test("is summed up by the reason and the instruction it is about", () => {
    expect(summarizeVerifierLog(refusedLog)).toBe(
      "1: (79) r1 = *(u64 *)(r6 +800) / invalid bpf_context access off=800 size=8 " +
        "(7 lines omitted; --debug shows all)",
    );
  });

  test("of one line is that line", () => {
    expect(summarizeVerifierLog("unknown func bpf_ktime_get_ns#5\n")).toBe(
      "unknown func bpf_ktime_get_ns#5",
    );
  });

  test("with nothing in it says so", () => {
    expect(summarizeVerifierLog("\nprocessed 0 insns (limit 1)\n")).toBe(
      "the verifier gave no reason",
    );
  });

  test("is printed whole with --debug, escape codes made harmless", () => {
    const error = new VerifierError("p", `${refusedLog}\n\x1b[2J`);
    expect(formatError(error, false)).not.toContain("R10=fp0");
    expect(formatError(error, true)).toContain("0: R1=ctx(off=0,imm=0) R10=fp0\n0: (bf) r6 = r1\n");
    expect(formatError(error, true)).not.toContain("\x1b");
    expect(error.log).toContain(refusedLog);
  });
});
