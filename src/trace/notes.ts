/** What the user is told before the first line. */
import type { Failure } from "../errors.ts";
import type { AttachMode } from "../kernel/host.ts";

/** A way to attach that was tried first. */
export const notUsed = (mode: AttachMode, { message, why }: Failure): string =>
  `${mode}s are not used: ${message} (${why ?? "no reason given"})`;

/** See KNOWN_ISSUES.md, and bpf/twins.h for what is done about it. */
export const PREEMPTED =
  "TCP with tracepoints on Linux 7.0 and later: on a CPU that has more to do than it can, lines can be missing, uncounted; kprobes do not have that";
