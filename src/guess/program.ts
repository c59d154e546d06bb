/**
 * Where a task_struct has its mm_struct, and that the arguments of its process: two offsets more than a trace needs, so
 * they are searched only where command lines are asked for. The tool's own task is copied; what its mm_struct must hold
 * is known from /proc/self/stat.
 */
import { readFileSync } from "node:fs";
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM } from "../kernel/constants.ts";
import type { AttachMode, Host } from "../kernel/host.ts";
import { close, socket } from "../kernel/libc.ts";
import { parseMemoryMarks } from "../kernel/proc_text.ts";
import { KernelError } from "../kernel/shim.ts";
import { openKprobeSampler, openTracepointSampler, SamplerDeaf, type Sampler } from "./sampler.ts";
import { solveProgram, type ProgramOffsets } from "./solve_program.ts";

/** Returns why they were not found, as a text that ends a sentence. */
export function guessProgram(host: Host, mode: AttachMode): ProgramOffsets | string {
  if (!host.features.has("current_task")) return "that takes Linux 4.17";
  const marks = parseMemoryMarks(readFileSync("/proc/self/stat", "latin1"));
  if (marks === null) return "/proc/self/stat does not tell where the own arguments are";
  const fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "a socket was refused";
  try {
    using sampler =
      mode === "kprobe"
        ? openKprobeSampler(host.shim, host.kprobes!, { helpers: host.features.helpers() })
        : openTracepointSampler(host.shim, host.features.helpers());
    const task = sampler.task(fd);
    const found = solveProgram(copyTask(sampler, fd, task), marks, (address) =>
      sampler.peek(fd, address),
    );
    return found ?? "the kernel's struct of a process is not laid out as it usually is";
  } catch (error) {
    if (error instanceof KernelError || error instanceof SamplerDeaf) return error.message;
    throw error;
  } finally {
    close(fd);
  }
}

// --- internal ---

/** A task_struct is up to some ten KiB. */
const TASK_MAX = 1 << 14;

function copyTask(sampler: Sampler, fd: number, task: bigint): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < TASK_MAX;) {
    const part = sampler.peek(fd, task + BigInt(at));
    if (part.length === 0) break;
    parts.push(part);
    at += part.length;
  }
  return new Uint8Array(Buffer.concat(parts));
}
