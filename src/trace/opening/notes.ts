/** Notes for the user, before the first line. */
import type { Failure } from "../../errors.ts";
import type { AttachMode } from "../../kernel/host.ts";

/** A way to attach that was tried first. */
export const notUsed = (mode: AttachMode, { message, why }: Failure): string =>
  `${mode}s are not used: ${message} (${why ?? "no reason given"})`;
