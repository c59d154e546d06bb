/**
 * A small guess of its own: the offset of task_struct.tgid, which only following processes needs. The tool makes threads,
 * whose ids it knows, and copies what the kernel has made of them.
 */
import { Failure, UnsupportedError } from "../errors.ts";
import type { AttachMode, Host } from "../kernel/host.ts";
import { KernelError } from "../kernel/shim.ts";
import { briefThread } from "../kernel/threads.ts";
import { asFailure } from "./run.ts";
import { openTaskSampler, SamplerDeaf } from "./sampler.ts";
import { tgidOffsets, type TaskSample } from "./solve_task.ts";

/** Two threads may have a value in common by chance; four have not. */
const THREADS = 4;

/** Throws a Failure where it cannot be found; nothing about processes can be told then. */
export function guessTgid(host: Host): number {
  const found = findTgid(host);
  if (typeof found === "number") return found;
  throw new UnsupportedError("following a command", {
    why: found,
    hint: "trace without `-- CMD`, as is to be done where structs are laid out at random (CONFIG_RANDSTRUCT); elsewhere report it with the kernel's version",
  });
}

/** The same, or why it was not found, as a sentence. It is searched once per host. May throw a Failure. */
export function findTgid(host: Host): number | string {
  const known = tgids.get(host) ?? search(host);
  tgids.set(host, known);
  return known;
}

/** Copies of the tool's own threads, by the first way of this host that works. */
export function sampleTasks(host: Host): TaskSample[] {
  let first: unknown;
  for (const mode of host.modes) {
    try {
      return sampleBy(host, mode);
    } catch (error) {
      first ??= error;
      if (!(error instanceof KernelError) && !(error instanceof SamplerDeaf)) break;
    }
  }
  throw asFailure(first);
}

// --- internal ---

const tgids = new WeakMap<Host, number | string>();

/** One round has failed on a busy machine; and a value can stand twice by chance. */
const ROUNDS = 3;

function search(host: Host, round = 1): number | string {
  const samples = sampleTasks(host);
  const offsets = tgidOffsets(samples);
  if (offsets.length === 1) return offsets[0]!;
  if (round < ROUNDS) return search(host, round + 1);
  const found = offsets.length === 0 ? "nowhere" : `at ${offsets.join(", ")}`;
  return `the kernel's tgid was found ${found} in the first ${samples[0]?.bytes.length ?? 0} bytes of task_struct`;
}

function sampleBy(host: Host, mode: AttachMode): TaskSample[] {
  using sampler = openTaskSampler(host.shim, mode === "kprobe" ? host.kprobes! : null);
  return Array.from({ length: THREADS }, () => {
    let tid = 0;
    const bytes = sampler.newTask(() => void (tid = briefThread()));
    if (tid < 0) throw new Failure(`a thread: cannot be started (errno ${-tid})`);
    const { tgid } = sampler;
    return { bytes, tgid, pid: tgid === process.pid ? tid : null };
  });
}
