import type { TraceProgram } from "../../record/layout.gen.ts";

/** Puts what a batch of events holds into the ring (bpf/lib/batch.h); from Linux 5.10 on. Run by the tool. */
export const batchByTool: TraceProgram = "run_batch";
