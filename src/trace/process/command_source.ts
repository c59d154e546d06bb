/** Where command lines are asked for: the map of the kernel side, and /proc. */
import { monotonicNs } from "../../kernel/clock.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { commandLineOf, commOf, executableOf, lifeOf } from "../../kernel/process.ts";
import type { Shim } from "../../kernel/shim.ts";
import { Counter, programArgsSize, readProgramArgs } from "../../record/layout.gen.ts";
import type { CommandSource, Noted } from "./command_lines.ts";

/** Programs that the kernel side remembers; each takes some 330 bytes of its memory. */
export const PROGRAMS_MAX = 16_384;

/** `tgid` is the tool's own pid in the kernel's numbers; `between` is called each time before something is read. */
export function commandSource(
  shim: Shim,
  object: KernelObject,
  tgid: number,
  between: () => void,
): CommandSource {
  const fd = object.mapFd("programs");
  const lossesFd = object.mapFd("losses");
  const key = new BigUint64Array(1);
  const count = new BigUint64Array(1);
  let refused = 0n;
  /** The entries that were taken out of the map when it was full, so that there is room. */
  let taken = new Map<bigint, Noted>();

  const isFull = (): boolean => {
    shim.mapLookup(lossesFd, Uint32Array.of(Counter.COUNTER_PROGRAM_MAP_FULL), count);
    const news = count[0] !== refused;
    refused = count[0]!;
    return news;
  };
  const read = (): Noted | null => {
    const value = new Uint8Array(programArgsSize);
    if (!shim.mapLookup(fd, key, value)) return null;
    const { length, copied, bytes } = readProgramArgs(new DataView(value.buffer), 0);
    return { length, bytes: bytes.subarray(0, copied) };
  };
  const takeAll = () => {
    taken = new Map();
    // No more than it holds: others may fill it as fast as it is read.
    for (let left = PROGRAMS_MAX; left > 0 && shim.mapNextKey(fd, null, key); left--) {
      between();
      const noted = read();
      if (noted !== null) taken.set(key[0]!, noted);
      shim.mapDelete(fd, key);
    }
  };

  return {
    noted(program) {
      between();
      key[0] = program;
      const noted = read() ?? taken.get(program) ?? null;
      if (noted === null && isFull()) takeAll();
      return noted;
    },
    process(pid) {
      // In a pid namespace /proc numbers processes otherwise than the events do.
      if (tgid !== process.pid) return null;
      between();
      try {
        // Its life comes last: whoever has got the number meanwhile began too late.
        const [bytes, comm, exe] = [commandLineOf(pid), commOf(pid), executableOf(pid)];
        return { bytes, comm, exe, ...lifeOf(pid) };
      } catch {
        return null;
      }
    },
    nameOf(pid) {
      between();
      try {
        return commOf(pid);
      } catch {
        return null;
      }
    },
    nowNs: monotonicNs,
  };
}
