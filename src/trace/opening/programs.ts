/** Which programs each way to attach loads, and where they are attached. */
import type { AttachMode } from "../../kernel/host.ts";
import type { TraceProgram } from "../../record/layout.gen.ts";

export interface KprobePoint {
  program: TraceProgram;
  symbol: string;
  retprobe?: true;
  /** A kernel without the function (IPv6 is missing) is traced all the same. */
  optional?: true;
}

export interface TracePoints {
  kprobes: readonly KprobePoint[];
  tracepoints: readonly { program: TraceProgram; name: string }[];
}

/**
 * In the order in which they are attached: ends before beginnings, so that what is seen to begin is seen to end, and no
 * entry stays behind for the next connection on the same sock. To probe another function: a SEC line in
 * bpf/trace.bpf.c, a row here.
 */
export const kprobes: readonly KprobePoint[] = [
  { program: "on_tcp_v4_destroy_sock", symbol: "tcp_v4_destroy_sock" },
  { program: "on_tcp_close", symbol: "tcp_close" },
  { program: "on_tcp_disconnect", symbol: "tcp_disconnect" },
  { program: "on_tcp_done", symbol: "tcp_done" },
  { program: "on_tcp_shutdown", symbol: "tcp_shutdown" },
  { program: "on_tcp_finish_connect", symbol: "tcp_finish_connect" },
  { program: "on_tcp_connect", symbol: "tcp_connect" },
];

/** Attempts to connect that fail before a SYN is sent; a kernel that refuses these is traced without. The returns first. */
export const attempts: TracePoints = {
  kprobes: [
    { program: "on_connect_return", symbol: "tcp_v4_connect", retprobe: true },
    { program: "on_connect_return", symbol: "tcp_v6_connect", retprobe: true, optional: true },
    { program: "on_connect", symbol: "tcp_v4_connect" },
    { program: "on_connect", symbol: "tcp_v6_connect", optional: true },
  ],
  tracepoints: [],
};

/**
 * Where accept(2) is seen; the first that does see it is used. security_sock_graft runs at the end of every accept
 * (it needs CONFIG_SECURITY_NETWORK); a return probe misses those that were entered before it was attached.
 */
export const acceptPoints: readonly KprobePoint[] = [
  { program: "on_security_sock_graft", symbol: "security_sock_graft" },
  { program: "on_inet_csk_accept", symbol: "inet_csk_accept", retprobe: true },
];

type TracepointRow = { program: TraceProgram; name: string };

/** In the same order, and those of one tracepoint as they are to run. `preempted`: the kernel does that. */
export const tracepoints = (preempted: boolean): readonly TracepointRow[] => [
  ...rows("tcp_destroy_sock", preempted ? preemptedEnds : ends),
  ...rows("inet_sock_set_state", preempted ? preemptedStates : states),
];

/**
 * One that notes what is due, one that does it, and those that do it while that one is busy: see bpf/lib/backup.h. Without
 * preemption only an interrupt comes in between, and none interrupts that.
 */
const states: TraceProgram[] = ["on_state_pending", "on_state", "on_state_backup"];
const ends: TraceProgram[] = ["on_end_pending", "on_end", "on_end_backup"];

/** With it each may be busy while the next one is, of those that note as of those that do. */
const preemptedStates: TraceProgram[] = [
  "on_state_pending",
  "on_state_pending_again",
  "on_state",
  "on_state_backup",
  "on_state_backup_2",
  "on_state_backup_3",
];
const preemptedEnds: TraceProgram[] = [
  "on_end_pending",
  "on_end_pending_again",
  "on_end",
  "on_end_backup",
  "on_end_backup_2",
  "on_end_backup_3",
];
/** As few as can be: TCP's sends and receives run them too. */
const preemptedSends: TraceProgram[] = ["on_length_pending", "on_sent", "on_sent_backup"];
const preemptedReceives: TraceProgram[] = [
  "on_length_pending",
  "on_received",
  "on_received_backup",
];

const preemptedForks: TraceProgram[] = ["on_fork_pending", "on_fork", "on_fork_backup"];

const rows = (name: string, programs: readonly TraceProgram[]): TracepointRow[] =>
  programs.map((program) => ({ program, name }));

/** `lengths`: of kernels that tell the function how much a receive returns. */
interface UdpPoint extends KprobePoint {
  lengths?: boolean;
}

/** Alternatives: the first function that this kernel has is probed. To follow a kernel that renames one, add it. */
const udpPoints: readonly (readonly UdpPoint[])[] = [
  [{ program: "on_ip_send_skb", symbol: "ip_send_skb" }],
  [
    // Since 4.10, since 4.7, of RHEL 7, and before.
    { program: "on_skb_consume_udp", symbol: "skb_consume_udp", lengths: true },
    { program: "on_skb_free_datagram_length", symbol: "__skb_free_datagram_locked", lengths: true },
    { program: "on_skb_free_datagram_locked", symbol: "skb_consume_udp", lengths: false },
    { program: "on_skb_free_datagram_locked", symbol: "skb_free_datagram_locked", lengths: false },
  ],
  [{ program: "on_udp_destroy_sock", symbol: "udp_destroy_sock" }],
];
const udp6Points: readonly (readonly UdpPoint[])[] = [
  [{ program: "on_ip6_send_skb", symbol: "ip6_send_skb" }],
  [{ program: "on_udp_destroy_sock", symbol: "udpv6_destroy_sock" }],
];

/**
 * Where UDP is seen, or the function that this kernel lacks. `has` finds a function; `ipv6`: there are such sockets;
 * `lengths`: the kernel has the feature datagram_lengths.
 */
export function udpKprobes(
  has: (symbol: string) => boolean,
  ipv6: boolean,
  lengths: boolean,
): { points: readonly KprobePoint[] } | { missing: string } {
  const points: KprobePoint[] = [];
  for (const alternatives of [...udpPoints, ...(ipv6 ? udp6Points : [])]) {
    const point = alternatives.find(
      (point) => (point.lengths ?? lengths) === lengths && has(point.symbol),
    );
    if (!point) return { missing: alternatives[0]!.symbol };
    points.push(point);
  }
  return { points };
}

/** 6.3 and later. They run in system calls alone, so that only preemption gets in between. */
export const udpTracepoints = (preempted: boolean): readonly TracepointRow[] => [
  ...rows("sock_send_length", preempted ? preemptedSends : ["on_sent"]),
  ...rows("sock_recv_length", preempted ? preemptedReceives : ["on_received"]),
];

/** What these miss is a datagram that was not counted, or the end of a socket; a twin may have seen it. */
export const udpPrograms: readonly TraceProgram[] = [
  ...new Set([...udpPoints, ...udp6Points].flat().map((point) => point.program)),
  "on_sent",
  "on_received",
];

/** What these miss is lost, but for what a twin saw. What the others of kprobes miss is made up for at the latest when the sock is destroyed. */
export const missedIsLost: Record<AttachMode, readonly TraceProgram[]> = {
  kprobe: acceptPoints.map((point) => point.program),
  tracepoint: ["on_state", "on_end"],
};

/** Loaded with the tracepoints and run by the tool, never attached. */
export const runByTool: readonly TraceProgram[] = ["run_accepted", "run_udp_gone"];

/** Puts into the ring what a batch of events holds (bpf/lib/batch.h); from Linux 5.10 on. */
export const batchByTool: TraceProgram = "run_batch";

/** How processes come and go: attached only to follow a command. The ends first. */
export function followPoints(mode: AttachMode, preempted: boolean): TracePoints {
  if (mode === "kprobe")
    return {
      kprobes: [
        // Without it the map holds on to those that are over.
        { program: "on_put_task_struct", symbol: "__put_task_struct", optional: true },
        { program: "on_wake_up_new_task", symbol: "wake_up_new_task" },
      ],
      tracepoints: [],
    };
  return {
    kprobes: [],
    tracepoints: [
      { program: "on_sched_process_free", name: "sched_process_free" },
      ...rows("sched_process_fork", preempted ? preemptedForks : ["on_fork"]),
    ],
  };
}

/** What these miss is a process that is not followed; a twin may have seen it. */
export const birthPrograms: readonly TraceProgram[] = ["on_wake_up_new_task", "on_fork"];

/** Attached only while the tool reads /proc/net/tcp, to list the connections that are open already. */
export const listKprobes: readonly KprobePoint[] = [
  { program: "on_tcp4_seq_show", symbol: "tcp4_seq_show" },
  { program: "on_tcp6_seq_show", symbol: "tcp6_seq_show" },
];

/** The same with tracepoints. It needs the kernel's BTF; where it does not load, the trace goes on without a list. */
export const listIterator: TraceProgram = "list_tcp";

/** Asks for the counters of open connections, from Linux 5.10 on. */
export const sampleByTool: TraceProgram = "run_samples";
/** The same before; attached from the first use on. */
export const sampleKprobe: KprobePoint = { program: "on_tcp_getsockopt", symbol: "tcp_getsockopt" };

/** Every function that may be probed. To be looked for together: to find one is to read all of /proc/kallsyms. */
export const probedSymbols: readonly string[] = [
  ...new Set(
    [
      ...kprobes,
      ...attempts.kprobes,
      ...acceptPoints,
      ...udpPoints.flat(),
      ...udp6Points.flat(),
      ...followPoints("kprobe", false).kprobes,
      ...listKprobes,
      sampleKprobe,
    ].map(({ symbol }) => symbol),
  ),
];

/**
 * Where a process is met whose command line is asked for: at the calls by which it opens, accepts, closes, sends and
 * receives. `udp`: what is probed of it.
 */
export function argsPoints(mode: AttachMode, udp: TracePoints): TracePoints {
  if (mode === "kprobe") {
    const symbols = ["tcp_v4_connect", "tcp_v6_connect", "security_sock_graft", "tcp_close"];
    const calls = [...symbols, ...udp.kprobes.map(({ symbol }) => symbol)];
    return {
      kprobes: [
        ...calls.map((symbol) => ({ program: "on_call", symbol, optional: true }) as const),
        { program: "on_call", symbol: "inet_csk_accept", retprobe: true, optional: true },
      ],
      tracepoints: [],
    };
  }
  const moved = udp.tracepoints.map(
    ({ name }) => ({ program: "on_length_of_owner", name }) as const,
  );
  return {
    kprobes: [],
    tracepoints: [{ program: "on_state_of_owner", name: "inet_sock_set_state" }, ...moved],
  };
}
