/**
 * Where a task_struct has its name, and the pointer to the first thread of its process. The tool's own thread is copied while
 * it is the first of its process: its name is known, and the pointer is its own address.
 */
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM } from "../kernel/constants.ts";
import { close, socket } from "../kernel/libc.ts";
import { commOf } from "../kernel/process.ts";
import type { FieldReport } from "./report.ts";
import { peekUpTo, type Sampler } from "./sampler.ts";
import { solveLeader, TASK_MAX, withoutLeader } from "./solve_leader.ts";

/** `sampler` has the helpers of the kernel. */
export function guessLeader(sampler: Sampler): FieldReport[] {
  const fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return withoutLeader("a socket was refused");
  try {
    const address = sampler.task(fd);
    if (address === 0n) return withoutLeader("that takes Linux 4.8");
    const bytes = peekUpTo(sampler, fd, address, TASK_MAX);
    return solveLeader({ address, bytes, comm: commOf(process.pid) });
  } finally {
    close(fd);
  }
}
