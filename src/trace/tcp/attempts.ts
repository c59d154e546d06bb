/** Calls of connect(2) that fail before a SYN is sent. With tracepoints the state of the sock tells of them already. */
import type { KprobePoint, Part } from "../part.ts";

export const attempts = (): Part => ({
  name: "failing connects",
  without: "connects that fail before a SYN is sent are not shown",
  points: ({ mode }) => (mode === "kprobe" ? attemptPoints : []),
});

/** The returns first: a call whose return is not seen would leave an entry behind. */
export const attemptPoints: readonly KprobePoint[] = [
  { program: "on_connect_return", kprobe: "tcp_v4_connect", returns: true },
  { program: "on_connect_return", kprobe: "tcp_v6_connect", returns: true, optional: true },
  { program: "on_connect", kprobe: "tcp_v4_connect", ofOwner: true },
  { program: "on_connect", kprobe: "tcp_v6_connect", optional: true, ofOwner: true },
];
