/** Calls of connect(2) that fail before a SYN is sent. */
import { NO_FILTER, wantsProtocol } from "../kernel_filter.ts";
import type { TraceOptions } from "../options.ts";
import type { HeldPoint, KprobePoint, Part, SocketHookPoint } from "../part.ts";
import { failedConnects } from "./begun.ts";

export const attempts = ({ filter = NO_FILTER }: TraceOptions): Part => ({
  name: "failing connects",
  asked: wantsProtocol(filter, "tcp"),
  without: "connects that fail before a SYN is sent are not shown",
  missing: ({ mode, host }) =>
    mode === "tracepoint" && !host.features.has("socket_hooks")
      ? "there are no socket hooks"
      : null,
  points: ({ mode, fentry }) => {
    if (mode === "tracepoint") return hooks;
    return fentry ? fexits : attemptPoints;
  },
  start: (on) => (on.mode === "kprobe" ? {} : failedConnects(on)),
});

/** The returns first: a call whose return is not seen would leave an entry behind. */
export const attemptPoints: readonly KprobePoint[] = [
  { program: "on_connect_return", kprobe: "tcp_v4_connect", returns: true },
  { program: "on_connect_return", kprobe: "tcp_v6_connect", returns: true, optional: true },
  { program: "on_connect", kprobe: "tcp_v4_connect", ofOwner: true },
  { program: "on_connect", kprobe: "tcp_v6_connect", optional: true, ofOwner: true },
];

// --- internal ---

/** With the arguments and the result in one. The inner one last: what it notes, the outer one takes. */
const fexits: readonly KprobePoint[] = (
  [
    { program: "on_connect6_over", kprobe: "tcp_v6_connect", optional: true },
    { program: "on_connect_over", kprobe: "tcp_v4_connect" },
  ] as const
).map((point) => ({ ...point, fentry: true, returns: true, ofOwner: true }));

/** The program of SYN_SENT, which takes back what these note, is the TCP part's. */
const hooks: readonly (SocketHookPoint | HeldPoint)[] = [
  { program: "on_connect4", socketHook: "HOOK_CONNECT4" },
  { program: "on_connect6", socketHook: "HOOK_CONNECT6" },
  { program: "run_connect_failed", held: true },
];
