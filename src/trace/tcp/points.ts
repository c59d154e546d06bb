/** Where TCP is seen. To probe another function: a SEC line in bpf/trace.bpf.c, a row here. */
import { findSymbols } from "../../kernel/kallsyms.ts";
import type { HeldPoint, KprobePoint, TracepointPoint } from "../part.ts";

/**
 * Ends before beginnings: so what is seen to begin is seen to end, and no entry stays behind for the next connection on
 * the same sock. An event that these miss is made up for when the sock is destroyed, at the latest.
 */
export const kprobes = (): readonly KprobePoint[] => [
  { program: "on_tcp_v4_destroy_sock", kprobe: "tcp_v4_destroy_sock", fentry: true },
  { program: "on_tcp_close", kprobe: closeFunction(), ofOwner: true, fentry: true },
  { program: "on_tcp_disconnect", kprobe: "tcp_disconnect" },
  { program: "on_tcp_done", kprobe: "tcp_done", fentry: true },
  { program: "on_tcp_shutdown", kprobe: "tcp_shutdown" },
  { program: "on_tcp_finish_connect", kprobe: "tcp_finish_connect", fentry: true },
  { program: "on_tcp_connect", kprobe: "tcp_connect", fentry: true },
];

/** 5.11 and later: tcp_close calls it, and so does MPTCP for its subflows. */
export const INNER_CLOSE = "__tcp_close";
const closeFunction = (): string =>
  findSymbols([INNER_CLOSE]).has(INNER_CLOSE) ? INNER_CLOSE : "tcp_close";

/**
 * Where accept(2) is seen; the first one that sees it is used. security_sock_graft runs at the end of every accept, but
 * needs CONFIG_SECURITY_NETWORK; a return probe misses accepts that were entered before it was attached.
 */
export const acceptPoints: readonly KprobePoint[] = [
  {
    program: "on_security_sock_graft",
    kprobe: "security_sock_graft",
    fentry: true,
    missesAreLost: true,
    ofOwner: true,
  },
  {
    program: "on_inet_csk_accept",
    kprobe: "inet_csk_accept",
    returns: true,
    missesAreLost: true,
    ofOwner: true,
  },
];

/** In the same order. Interrupts keep both programs from events; where the kernel preempts, so do other tasks. */
export const tracepoints = (preempts: boolean): readonly TracepointPoint[] => [
  {
    program: "on_end",
    tracepoint: "tcp_destroy_sock",
    missesAreLost: true,
    cover: preempts
      ? {
          pending: ["on_end_pending", "on_end_pending_again"],
          backups: ["on_end_backup", "on_end_backup_2", "on_end_backup_3"],
        }
      : { pending: ["on_end_pending"], backups: ["on_end_backup"] },
  },
  {
    program: "on_state",
    tracepoint: "inet_sock_set_state",
    missesAreLost: true,
    ofOwner: "on_state_of_owner",
    cover: preempts
      ? {
          pending: ["on_state_pending", "on_state_pending_again"],
          backups: ["on_state_backup", "on_state_backup_2", "on_state_backup_3"],
        }
      : { pending: ["on_state_pending"], backups: ["on_state_backup"] },
  },
];

/** Asked by the tool whether somebody has accepted a connection. */
export const runByTool: readonly HeldPoint[] = [{ program: "run_accepted", held: true }];
