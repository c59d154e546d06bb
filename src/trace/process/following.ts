/** Following a command: only what it and its descendants do is traced. */
import { guessTgid } from "../../guess/task.ts";
import type { AttachMode } from "../../kernel/host.ts";
import { Counter, Offset } from "../../record/layout.gen.ts";
import { NO_FILTER } from "../kernel_filter.ts";
import type { TraceOptions } from "../options.ts";
import type { Part, Point } from "../part.ts";
import { Descendants } from "./descendants.ts";

const PROCESS_MISSED = "process possibly not followed, its probe was busy";

/** Descendants of a command at the same time; 64 bytes of kernel memory each. */
const PROCESSES_MAX = 32_768;

export const following = ({ filter = NO_FILTER }: TraceOptions): Part => ({
  name: "following a command",
  asked: filter.descendants === true,
  // The user asked for the descendants alone.
  without: null,
  prepare: (host) => ({
    constants: new Map([[Offset.OFFSET_TASK_TGID, BigInt(guessTgid(host))]]),
    mapSizes: { followed: PROCESSES_MAX },
  }),
  points: ({ host, mode }) => points(mode, host.features.has("preemptible_tracepoints")),
  misses: { cause: () => PROCESS_MISSED, rescued: Counter.COUNTER_BIRTH_RESCUED },
  start({ host, object, tgid }) {
    const descendants = new Descendants(host.shim, object, tgid);
    return {
      renew: (nowNs) => descendants.renew(nowNs),
      brings(event, kind) {
        const accept = kind === "close" ? descendants.acceptOf(event) : null;
        return accept && [accept, "accept"];
      },
      wants: (event, kind) => descendants.own(event, kind),
      launch: (command) => descendants.launch(command),
    };
  },
});

// --- internal ---

/** How processes come and go. The ends first. */
function points(mode: AttachMode, preempts: boolean): readonly Point[] {
  if (mode === "kprobe")
    return [
      // Without it the map holds on to those that are over.
      { program: "on_put_task_struct", kprobe: "__put_task_struct", optional: true },
      { program: "on_wake_up_new_task", kprobe: "wake_up_new_task", missesAreLost: true },
    ];
  return [
    { program: "on_sched_process_free", tracepoint: "sched_process_free" },
    {
      program: "on_fork",
      tracepoint: "sched_process_fork",
      missesAreLost: true,
      ...(preempts ? { cover: { pending: ["on_fork_pending"], backups: ["on_fork_backup"] } } : {}),
    },
  ];
}
