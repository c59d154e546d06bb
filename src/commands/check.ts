import type { Trial } from "../check/facts.ts";
import { judge } from "../check/findings.ts";
import { verdictJson, verdictText } from "../check/report.ts";
import { exitCodes, Failure } from "../errors.ts";
import { wantsColor } from "../log.ts";
import { print } from "../output/writer.ts";
import { command } from "./command.ts";
import { debugFlag } from "./flags.ts";

export const checkCommand = command({
  description: "say whether and how this host can be traced, what it lacks, and what to do",
  examples: ["sudo tracer-bpf check", "sudo tracer-bpf check --json"],
  flags: {
    json: { type: "boolean", description: "print JSON" },
    debug: debugFlag,
  },
  async run(args) {
    const { readFacts } = await import("../check/read.ts");
    const verdict = judge(readFacts(), await openOnce());
    await print(args.json === true ? verdictJson(verdict) : verdictText(verdict, wantsColor(1)));
    return verdict.works ? exitCodes.done : exitCodes.unsupported;
  },
});

/** The proof: whatever was found, a trace either opens or not. */
async function openOnce(): Promise<Trial> {
  const { openTrace } = await import("../trace/tracer.ts");
  try {
    await using trace = await openTrace({ attach: "auto", debug: false });
    trace.takeStock();
    const { description, notes } = trace;
    const attach = /with kprobes/.test(description) ? "kprobe" : "tracepoint";
    return { opened: true, attach, description, notes: [...notes] };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { opened: false, what: error.message, why: error.why, hint: error.hint };
  }
}
