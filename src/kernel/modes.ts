import type { AttachMode } from "./host.ts";

/** The ways to attach that can be asked for. A file of its own: the help needs them, and nothing of the kernel. */
export const ATTACH_MODES: readonly (AttachMode | "auto")[] = ["auto", "kprobe", "tracepoint"];
