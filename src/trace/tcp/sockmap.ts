/** Sockmaps: the bytes of a connection that has been in one are not known. */
import { findSymbols } from "../../kernel/kallsyms.ts";
import { EventKind } from "../../record/layout.gen.ts";
import type { Ground, KprobePoint, Part, TracepointPoint } from "../part.ts";
import { COPIER } from "../sock_copy.ts";
import { learnFunctions } from "./functions.ts";
import { Redirected } from "./redirected.ts";

export function sockmap(): Part {
  let isThere: boolean | undefined;
  /** Asked once: to list the maps of a host takes a system call or three for each. */
  const hasSockmap = ({ host }: Ground): boolean => (isThere ??= host.shim.hasSockmap());
  return {
    name: "sockmaps",
    without: "bytes that a sockmap moves are not counted, and nothing tells of them",
    symbols: enters.map(({ kprobe }) => kprobe),
    points: (on) => [
      ...(on.mode === "kprobe" ? firstThere() : seesLengths(on) && hasSockmap(on) ? lengths : []),
      ...(learns(on) ? [COPIER] : []),
    ],
    check(on) {
      const known = learns(on) && learnFunctions(on);
      if (on.mode === "kprobe" || (known && seesLengths(on))) return {};
      return hasSockmap(on) ? { notes: [NOT_SEEN] } : {};
    },
    start({ marks }) {
      const redirected = new Redirected(marks.map());
      return {
        revises: (view, p) => redirected.concern(view, p),
        revise: (event) => redirected.apply(event),
        conditions: () => true,
        // It has been applied.
        kinds: [EventKind.EVENT_SOCKMAP],
        tell() {},
      };
    },
  };
}

// --- internal ---

/** Kernels with MPTCP, whose further subflows have other functions too, are newer. */
const learns = ({ newer }: Ground): boolean => newer;

const seesLengths = ({ host }: Ground): boolean => host.features.has("udp_lengths");

/**
 * With tracepoints: each send and each receive of a sock in a sockmap is seen when it ends. On Linux 6.12 they take 4 % of the
 * rate of small requests on one connection, so they are there only on a host that has a sockmap when the trace begins.
 */
const lengths: readonly TracepointPoint[] = [
  { program: "on_sent_in_sockmap", tracepoint: "sock_send_length" },
  { program: "on_received_in_sockmap", tracepoint: "sock_recv_length" },
];

const NOT_SEEN =
  "this host has a sockmap: bytes that it moves from one socket to another are not counted, because this kernel does not show them to tracepoints";

/** A sock of TCP enters a sockmap. The first function that the kernel has is probed; a kernel that has none has no sockmap. */
const enters: readonly KprobePoint[] = [
  // 5.13 and later
  { program: "on_tcp_bpf_update_proto", kprobe: "tcp_bpf_update_proto" },
  // 5.8 to 5.12
  { program: "on_tcp_bpf_init", kprobe: "tcp_bpf_get_proto" },
  // 4.20 to 5.7
  { program: "on_tcp_bpf_init", kprobe: "tcp_bpf_init" },
  // 4.14 to 4.19
  { program: "on_tcp_bpf_init", kprobe: "bpf_tcp_init" },
];

function firstThere(): readonly KprobePoint[] {
  const there = findSymbols(enters.map(({ kprobe }) => kprobe));
  const first = enters.findIndex(({ kprobe }) => there.has(kprobe));
  return first < 0 ? [] : enters.slice(first, first + 1);
}
