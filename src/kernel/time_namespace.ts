/**
 * In a time namespace (`unshare -T`, runc, CRIU) clock_gettime(2) and /proc give monotonic and boot time with an offset.
 * bpf_ktime_get_ns() and everything else in the kernel have none.
 */
import { readdirSync, readlinkSync } from "node:fs";
import { Failure } from "../errors.ts";
import { textOf } from "./text_file.ts";

/** By how many nanoseconds this process reads CLOCK_MONOTONIC ahead of the kernel. Throws a Failure where that is hidden. */
export function monotonicOffset(proc = "/proc"): bigint {
  const own = linkOf(`${proc}/self/ns/time`);
  // Before 5.6, or without CONFIG_TIME_NS, there are no such namespaces.
  if (own === null || own === INITIAL) return 0n;
  const pid = ["self", ...processes(proc)].find(
    (each) => linkOf(`${proc}/${each}/ns/time_for_children`) === own,
  );
  const offset = pid === undefined ? null : parseMonotonic(textOf(`${proc}/${pid}/timens_offsets`));
  if (offset !== null) return offset;
  throw new Failure("the clock of this time namespace: cannot be compared with the kernel's", {
    why: `/proc tells the offsets of no process that makes its children in ${own}`,
    hint: "run it in the time namespace of the host: nsenter --time=/proc/1/ns/time tracer-bpf ...",
  });
}

/**
 * `text`: that of /proc/PID/timens_offsets, a line per clock: its name, or its number before 5.7, and seconds and
 * nanoseconds. It tells of the namespace in which the process makes its children.
 */
export function parseMonotonic(text: string | null): bigint | null {
  const [, seconds, ns] = /^(?:monotonic|1)\s+(-?\d+)\s+(\d+)$/m.exec(text ?? "") ?? [];
  return seconds === undefined ? null : BigInt(seconds) * 1_000_000_000n + BigInt(ns!);
}

// --- internal ---

/** PROC_TIME_INIT_INO, the same on every kernel. */
const INITIAL = "time:[4026531834]";

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

const processes = (proc: string): string[] =>
  readdirSync(proc).filter((name) => /^\d+$/.test(name));
