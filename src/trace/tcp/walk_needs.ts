/** The needs of a walk over the files of all tasks: the helper, and where a task has the id of its process. */
import { Failure } from "../../errors.ts";
import { findTgid } from "../../guess/task.ts";
import type { Host } from "../../kernel/host.ts";
import { Offset } from "../../record/layout.gen.ts";
import type { Prepared } from "../part.ts";

/** Or why there can be no walk, for the user. */
export function prepareWalk(host: Host): Prepared | string {
  if (!host.features.has("holder_iterator"))
    return "with tracepoints that takes Linux 5.11 and its BTF";
  try {
    const tgid = findTgid(host);
    if (typeof tgid === "string") return tgid;
    return { constants: new Map([[Offset.OFFSET_TASK_TGID, BigInt(tgid)]]) };
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}
