/** Sockmaps: the bytes of a connection that has been in one are not known. */
import { findSymbols } from "../../kernel/kallsyms.ts";
import { EventKind } from "../../record/layout.gen.ts";
import type { KprobePoint, Part } from "../part.ts";
import { Redirected } from "./redirected.ts";

export const sockmap = (): Part => ({
  name: "sockmaps",
  without: "bytes that a sockmap moves are not counted, and nothing tells of them",
  symbols: enters.map(({ kprobe }) => kprobe),
  points: ({ mode }) => (mode === "kprobe" ? firstThere() : []),
  check: ({ host, mode }) =>
    mode === "tracepoint" && host.shim.hasSockmap() ? { notes: [NOT_SEEN] } : {},
  start() {
    const redirected = new Redirected();
    return {
      revises: (view, p) => redirected.concern(view, p),
      revise: (event) => redirected.apply(event),
      // It has been applied.
      kinds: [EventKind.EVENT_SOCKMAP],
      tell() {},
    };
  },
});

// --- internal ---

const NOT_SEEN =
  "this host has a sockmap: with tracepoints, bytes that it moves from one socket to another are not counted";

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
