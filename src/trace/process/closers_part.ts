/** No thread of the kernel is shown as the owner of a connection that it only closed. It needs no programs. */
import { monotonicNs } from "../../kernel/clock.ts";
import { lifeOf } from "../../kernel/process.ts";
import type { Part } from "../part.ts";
import { Closers, type CloserSource } from "./closers.ts";

export const closersPart = (): Part => ({
  name: "closers",
  without: "a close by the kernel names the kernel's thread",
  points: () => [],
  start({ tgid, host }) {
    const closers = new Closers(closerSource(tgid));
    const programsAt = BigInt(host.shim.addressOf(closers.programs));
    return {
      renew: () => closers.renew(),
      revises: (view, p) => closers.concern(view, p),
      revise: (event) => closers.apply(event),
      conditions(to) {
        closers.conditions(to, programsAt);
        return true;
      },
    };
  },
});

// --- internal ---

/** `tgid` is the tool's own pid in the kernel's numbers. */
const closerSource = (tgid: number): CloserSource => ({
  kernelThread(pid) {
    if (tgid !== process.pid) return undefined;
    try {
      const { startedNs, ofKernel } = lifeOf(pid);
      return ofKernel ? startedNs : null;
    } catch {
      return null;
    }
  },
  nowNs: monotonicNs,
});
