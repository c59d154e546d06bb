/** Boots one kernel for a job of guest.ts and gives back its blocks. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { file, type Entry } from "../vm/cpio.ts";
import { runInGuest } from "../vm/lab.ts";
import { run } from "../vm/process.ts";
import type { Block, GuestJob } from "./guest.ts";
import type { Peers } from "./peers.ts";

export interface Measured {
  release: string;
  blocks: Block[];
  seconds: number;
}

/** The kernels that KERNELS in the environment names, else these. */
export const kernelsOr = (...usual: readonly string[]): readonly string[] =>
  process.env["KERNELS"]?.split(/[ ,]+/) ?? usual;

export async function measureInGuest(
  kernel: string,
  job: GuestJob,
  peers: Peers | null,
): Promise<Measured> {
  const blocks: Block[] = [];
  const outcome = await runInGuest({
    kernel,
    shell: "BUN_BE_BUN=1 /tracer-bpf run /test/bench/guest.ts",
    // Seconds of the guest's clock, which jumps: nothing there may count on them.
    env: { BENCH_JOB: JSON.stringify(job), LAB_ORPHANED_SECONDS: "10000000" },
    netfilter: job.translation !== undefined,
    extra: [await compiledLoad(), ...(peers?.entries ?? [])],
    machine: { cpus: job.cpus ?? 1, memoryMb: 2048, countInstructions: (job.cpus ?? 1) === 1 },
    logName: `bench-${kernel}`,
    timeoutSeconds: 3600,
    onLine: (line) => {
      const json = /^@@ bench (.*)$/.exec(line)?.[1];
      if (json === undefined) return;
      blocks.push(JSON.parse(json) as Block);
      console.error(`  ${kernel} ${describe(blocks.at(-1)!)}`);
    },
  });
  if (outcome.failed > 0 || outcome.state === "absent")
    throw new Error(`${kernel}: ${outcome.remarks.join("; ")}`);
  return { release: outcome.release, blocks, seconds: outcome.seconds };
}

/** The traffic maker, linked statically so that it runs in any guest. */
export async function compiledLoad(): Promise<Entry> {
  const work = mkdtempSync(join(tmpdir(), "tracer-bpf-bench-"));
  try {
    const program = join(work, "load");
    await run(["gcc", "-O2", "-static", "-o", program, join(import.meta.dirname, "load/load.c")]);
    return file("job/load", readFileSync(program), true);
  } finally {
    rmSync(work, { recursive: true });
  }
}

function describe({
  workload,
  tracer,
  opsPerSecond,
  reported,
  bytes,
  moved,
  error,
  share,
}: Block): string {
  const seen = reported ? `, ${reported.seen} of ${reported.expected} lines, ${reported.lost}` : "";
  const exact =
    bytes === undefined ? "" : bytes === moved ? ", bytes exact" : `, bytes ${bytes} not ${moved}`;
  const own = share === undefined ? "" : `, own process ${(share * 100).toFixed(1)} %`;
  return `${workload} ${tracer}: ${error ?? `${opsPerSecond.toFixed(0)}/s${own}${seen}${exact}`}`;
}
