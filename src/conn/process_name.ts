/** How people are told of a process. Pure. */
import type { ConnEvent } from "./event.ts";

/** Its command name; where that is not known, the name of the thread that called. */
export const processName = ({ comm, thread }: Pick<ConnEvent, "comm" | "thread">): string | null =>
  comm ?? thread ?? null;
