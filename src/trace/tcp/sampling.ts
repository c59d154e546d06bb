/** Sampling: the kernel side is asked for the counters of open connections when the user wants to see them (--interval). */
import type { HeldPoint, Part } from "../part.ts";
import { Samples } from "./samples.ts";
import { sampleByTool, sampleKprobe, sampleSource } from "./sample_source.ts";
import type { TraceOptions } from "../options.ts";

const UNSTABLE_AT_END = "open connection not told at the end, its counters changed while read";

export const sampling = ({ sampling: asked = false }: TraceOptions): Part => ({
  name: "sampling",
  asked,
  without: "what open connections have moved is not shown",
  // The verifier needs as long for these as for nearly all others together, so they are loaded on request only.
  points: ({ mode, newer }): HeldPoint[] => [
    ...(mode === "kprobe"
      ? [{ program: sampleKprobe.program, held: true, symbol: sampleKprobe.symbol } as const]
      : []),
    ...(newer ? [{ program: sampleByTool, held: true } as const] : []),
  ],
  start({ host, object, tgid }, between) {
    const samples = new Samples(sampleSource(host, object, tgid, between));
    return {
      revises: () => true,
      revise: (event) => event,
      repeated: (event) => samples.renewed(event),
      shown: (event) => samples.shown(event),
      // At an interval nothing is lost: the next one tells.
      losses: () => [{ cause: UNSTABLE_AT_END, count: samples.unstable }],
      sample(_, all) {
        const moved = samples.take(all);
        return { moved, gone: samples.takeLost() };
      },
    };
  },
});
