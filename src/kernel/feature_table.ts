/**
 * In what kernels differ for the tracer, one row each. Read by loading, attaching, `check`, `--debug` and the table of
 * docs/kernels.md. Distributions bring features back to old release numbers, so a row asks for the ability itself. To
 * add a difference, add a row.
 */
import { existsSync } from "node:fs";
import {
  CAP_BPF,
  IPPROTO_UDP,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  AF_INET,
  SOL_UDP,
  UDP_SEGMENT,
} from "./constants.ts";
import { namesInBtf } from "./btf_names.ts";
import { kprobeWay } from "./kprobes.ts";
import { close, getsockopt, socket } from "./libc.ts";
import { preempts } from "./preemption.ts";
import { textOf } from "./text_file.ts";
import type { Shim } from "./shim.ts";
import { AskedType, OptionalHelper } from "../record/layout.gen.ts";

const { HELPER_GET_CURRENT_TASK, HELPER_GET_CURRENT_CGROUP_ID, HELPER_KTIME_GET_COARSE_NS } =
  OptionalHelper;

export interface Feature {
  /** The mainline release that brought it. */
  since: string;
  /** The kernel's change that brought it. */
  change: string;
  /** How a kernel is asked. */
  asked: string;
  /** The tracer's way where it is not there. */
  without: string;
  /** The number in enum bpf_func_id, where the feature is a helper that programs have a placeholder for. */
  helper?: number;
  /** `null`: this host cannot be asked, and the release decides. Rows with neither are answered where they are used. */
  ask?: (shim: Shim) => boolean | null;
}

const table = {
  kprobe_pmu: {
    since: "4.17",
    change: "perf/core: Implement the 'perf_kprobe' PMU",
    asked: "/sys/bus/event_source/devices/kprobe is there",
    without:
      "kprobes are created in tracefs; lines that a killed process leaves are swept at the next start",
    ask: () => kprobeWay() === "pmu",
  },
  pending_returns: {
    since: "4.12",
    change: "tracing/kprobes: expose maxactive for kretprobe in kprobe_events",
    asked: "tracefs's README names it; only where there is no kprobe PMU",
    without: "the kernel's own number of pending returns: more are missed, and counted",
  },
  monotonic_tcp_clock: {
    since: "4.20",
    change: "tcp/fq: move back to CLOCK_MONOTONIC",
    asked: "by the release: two clocks that agree now may not do so later",
    without: "how long a connection waited for its accept is unknown",
    ask: () => null,
  },
  no_version_code: {
    since: "5.0",
    change: "bpf: remove useless version check for prog load",
    asked: "not at all: each program is given the version code, where the vDSO tells it",
    without: "kprobe programs carry the version code",
  },
  test_run: {
    since: "5.10",
    change: "bpf: Enable BPF_PROG_TEST_RUN for raw_tracepoint",
    asked: "a raw tracepoint program of two instructions is run",
    without:
      "no tracepoint mode, no batches of events; samples are asked for two at a time through a kprobe",
    ask: (shim) => shim.hasTestRun(),
  },
  preemptible_tracepoints: {
    since: "7.0",
    change: "tracing: Guard __DECLARE_TRACE() use of __DO_TRACE_CALL() with SRCU-fast",
    asked: "by the release: no kernel tells",
    without:
      "one program for each tracepoint of lengths and births is enough, and events travel in batches",
    ask: () => null,
  },
  segment_tracepoint: {
    since: "4.17",
    change: "bpf: introduce BPF_RAW_TRACEPOINT",
    asked:
      "attaching to tcp_probe and inet_sock_set_state is refused, but not because they are not there",
    without:
      "application protocols are seen by kprobes where TCP passes when a connection begins to speak: less of them is seen",
    ask: (shim) => ["tcp_probe", "inet_sock_set_state"].every((name) => shim.hasTracepoint(name)),
  },
  udp_lengths: {
    since: "6.3",
    change: "sock: add tracepoint for send recv length",
    asked:
      "attaching to sock_send_length and sock_recv_length is refused, but not because they are not there",
    without: "no UDP with tracepoints",
    ask: (shim) =>
      ["sock_send_length", "sock_recv_length"].every((name) => shim.hasTracepoint(name)),
  },
  task_registers: {
    since: "5.15",
    change: "bpf: Add bpf_task_pt_regs() helper",
    asked: "the kernel's BTF names the helper",
    without: "with tracepoints, protocols of UDP are not known",
    ask: () => namesInBtf(["BPF_FUNC_task_pt_regs"]),
  },
  socket_hooks: {
    since: "5.7",
    change: "bpf: Implement bpf_link-based cgroup BPF program attachment",
    asked: "attaching to the root control group is tried",
    without:
      "with tracepoints, whom a UDP socket sends to is unknown, and so is the remote end of one that is not connected; connects that fail before a SYN is sent are not shown",
  },
  udp_segment: {
    since: "4.18",
    change: "udp: generate gso with UDP_SEGMENT",
    asked: "getsockopt(UDP_SEGMENT) of a UDP socket",
    without: "a packet is one datagram; gso_segs is not read",
    ask: () => hasUdpSegment(),
  },
  udp_segments_counted: {
    since: "5.4",
    change: "udp: fix gso_segs calculations",
    asked: "not at all: a send whose gso_size is there without gso_segs is counted the other way",
    without: "the datagrams of a send are computed from its bytes and gso_size",
  },
  udp_consume: {
    since: "4.10",
    change: "udp: be less conservative with sock rmem accounting",
    asked: "kallsyms has skb_consume_udp",
    without:
      "__skb_free_datagram_locked (4.7) is probed, where a peek is told by the reference count; or skb_free_datagram_locked",
  },
  datagram_lengths: {
    since: "4.7",
    change: "udp: enable MSG_PEEK at non-zero offset",
    asked:
      "by the release: RHEL 7 has the later function, but passes it no length; the self-check tells whether that is right",
    without:
      "udp_recvmsg and udpv6_recvmsg are probed too, for the room of each receive; of one that began before the trace the bytes are unknown",
    ask: () => null,
  },
  sockmaps: {
    since: "4.14",
    change: "bpf: sockmap with sk redirect support",
    asked: "one is made, for a connection of the tool's own; only on Linux 5.10 and later",
    without: "no bytes move past TCP; whoever connects as a worker of the kernel is unknown",
  },
  lru_maps: {
    since: "4.10",
    change: "bpf: Add BPF_MAP_TYPE_LRU_HASH",
    asked: "such a map is made",
    without: "entries of conntrack are deleted when the kernel frees them, by a probe more",
    ask: (shim) => shim.hasLru(),
  },
  current_task: {
    since: "4.8",
    change: "bpf: Add bpf_get_current_task",
    asked: "a kprobe program that calls the helper is loaded",
    without: "command lines come from /proc",
    helper: HELPER_GET_CURRENT_TASK,
  },
  current_cgroup_id: {
    since: "4.18",
    change: "bpf: implement bpf_get_current_cgroup_id() helper",
    asked: "a kprobe program that calls the helper is loaded",
    without: "control groups come from /proc",
    helper: HELPER_GET_CURRENT_CGROUP_ID,
  },
  memcg_accounting: {
    since: "5.11",
    change: "bpf: Eliminate rlimit-based memory accounting",
    asked:
      "a socket filter that calls bpf_ktime_get_coarse_ns, of the same release, is loaded: programs that trace may not, from 5.16 on",
    without:
      "maps and rings count against RLIMIT_MEMLOCK: it is raised, and named where they are refused",
    ask: (shim) => shim.hasHelper(HELPER_KTIME_GET_COARSE_NS, AskedType.ASKED_SOCKET_FILTER),
  },
  cap_bpf: {
    since: "5.8",
    change: "capability: introduce CAP_PERFMON; bpf: Implement CAP_BPF",
    asked: "/proc/sys/kernel/cap_last_cap is 39 or more",
    without: "CAP_SYS_ADMIN is needed",
    ask: () => knowsCapability(CAP_BPF),
  },
  mappable_arrays: {
    since: "5.5",
    change: "bpf: Add mmap() support for BPF_MAP_TYPE_ARRAY",
    asked: "the map is created so; a refusal loads the object without batches",
    without: "each event is a record of its own",
  },
  bounded_loops: {
    since: "5.3",
    change: "bpf: introduce bounded loops",
    asked: "the object for newer kernels is loaded; a refusal loads the older one",
    without: "loops are unrolled, and samples are asked for two at a time",
  },
  tcp_iterator: {
    since: "5.9",
    change: "net: bpf: Implement bpf iterator for tcp",
    asked: "its program is loaded with the others; a refusal leaves it out",
    without: "with tracepoints, connections older than the trace have no `open` line",
  },
  plain_loads: {
    since: "6.2",
    change: "bpf: Add a kfunc for generic type cast",
    asked:
      "the kernel's BTF has bpf_rdonly_cast, and a program that loads a word through it is loaded",
    without:
      "each field of the kernel is copied by a helper, which costs some 90 instructions more; where lockdown refuses the helper nothing is traced",
    ask: (shim) => shim.plainLoads() !== null,
  },
  fentry: {
    since: "5.12",
    change: "bpf: Add per-program recursion prevention mechanism",
    asked:
      "by the release, where the kernel has BTF and does not preempt: the line of its build has no PREEMPT, or PREEMPT_DYNAMIC where sched/preempt of debugfs says none or voluntary; a refusal by one of the functions takes kprobes for all",
    without: "in kprobe mode each event takes a kprobe, which costs some 240 instructions more",
    ask: (shim) => (existsSync(KERNEL_TYPES) && !preempts(shim) ? null : false),
  },
  holder_iterator: {
    since: "5.11",
    change: "bpf: Add a bpf_sock_from_file helper",
    asked: "the kernel's BTF names the helper and the iterator over the files of tasks",
    without:
      "connections older than the trace are listed one network namespace after the other; with tracepoints, who accepted is looked up in /proc: fewer accepts have a process",
    ask: () => namesInBtf(["BPF_FUNC_sock_from_file", "bpf_iter_task_file"]),
  },
  map_batches: {
    since: "5.6",
    change: "bpf: Add generic support for lookup batch op",
    asked: "the command is tried",
    without: "maps are dumped key by key",
  },
  program_info: {
    since: "4.13",
    change: "bpf: Add BPF_OBJ_GET_INFO_BY_FD",
    asked: "the command is tried; an older kernel answers EINVAL",
    without: "programs that were skipped are not counted",
  },
  quiet_repair: {
    since: "4.20",
    change: "tcp: add window probe switch to TCP_REPAIR",
    asked: "TCP_REPAIR is left with TCP_REPAIR_OFF_NO_WP; an older kernel answers EINVAL",
    without:
      "leaving TCP_REPAIR sends a window probe, so sequence numbers are read after the copy, not before",
  },
  thread_self: {
    since: "3.17",
    change: "proc: Implement /proc/thread-self to point at the directory of the current thread",
    asked: "the path is looked up",
    without: "the thread is found by its id under /proc/self/task",
  },
  fresh_net_files: {
    since: "5.0",
    change: "proc: fix /proc/net/* after setns(2); a fault since 4.17",
    asked: "a file of /proc/net has the inode number that it had in another network namespace",
    without: "a thread is started in each network namespace, and its directory leads to the files",
  },
  take_from_hash: {
    since: "5.14",
    change: "bpf: Add lookup_and_delete_elem support to hashtab",
    asked: "the command is tried",
    without: "an entry is read, then deleted: what a program adds in between is lost",
  },
  first_key: {
    since: "4.12",
    change: "bpf: map_get_next_key to return first key on NULL",
    asked: "the command is tried with NULL; EFAULT is the answer of an older kernel",
    without: "the key after one that is not there is asked for",
  },
  run_time_stats: {
    since: "5.8",
    change: "bpf: Sharing bpf runtime stats with BPF_ENABLE_STATS",
    asked: "the command is tried",
    without: "`own cost` has no share of the programs",
  },
  recursion_misses: {
    since: "5.12",
    change: "bpf: Count the number of times recursion was prevented",
    asked: "the program's information holds the count; it stays 0 before (for kprobes before 6.7)",
    without: "programs that were skipped are not counted",
  },
  bytes_sent: {
    since: "4.19",
    change: "tcp: add data bytes sent stats",
    asked: "the guess finds the field or not",
    without: "the direction of an older connection comes from its ports and listeners",
  },
  wide_protocol: {
    since: "5.6",
    change: "sock: Make sk_protocol a 16-bit value",
    asked: "the guess: sk_type stands one or two bytes from sk_protocol",
    without: "sk_protocol is read as 8 bits",
  },
  conntrack_lookup: {
    since: "5.18",
    change: "net: netfilter: Add kfuncs to allow looking up CT entries",
    asked: "the program that calls it is loaded, with the kernel's types; only in tracepoint mode",
    without: "translations are asked for through ctnetlink, for which CAP_NET_ADMIN is kept",
  },
  conntrack_insert: {
    since: "4.4",
    change:
      "netfilter: nf_conntrack: __nf_conntrack_hash_insert is a function of its own (a compiler may inline it)",
    asked: "by its name in /proc/kallsyms, once conntrack is there",
    without: "entries are seen by __nf_conntrack_confirm, and found behind its sk_buff",
  },
  patient_map_locks: {
    since: "6.15",
    change: "bpf: Convert hashtab.c to rqspinlock",
    asked: "not at all: a deletion that fails for another reason than ENOENT is counted",
    without: "a map's lock is always had in the end",
  },
} as const satisfies Record<string, Feature>;

export type FeatureName = keyof typeof table;
export const features: Readonly<Record<FeatureName, Feature>> = table;
export const featureNames = Object.keys(table) as FeatureName[];

/** The table as Markdown. */
export function featureTable(): string {
  const rows = featureNames.map((name) => {
    const { since, change, asked, without } = features[name];
    return `| \`${name}\` | ${since}: ${change} | ${asked} | ${without} |`;
  });
  return [
    "| feature | Linux, and its change | how it is asked | without it |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

// --- internal ---

const KERNEL_TYPES = "/sys/kernel/btf/vmlinux";

function knowsCapability(capability: number): boolean | null {
  const last = textOf("/proc/sys/kernel/cap_last_cap");
  return last === null ? null : Number(last) >= capability;
}

function hasUdpSegment(): boolean | null {
  const fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
  if (fd < 0) return null;
  try {
    return getsockopt(fd, SOL_UDP, UDP_SEGMENT, new Uint8Array(4)) >= 0;
  } finally {
    close(fd);
  }
}
