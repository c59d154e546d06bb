/** The cost of each program per run, as the kernel itself counts it. */
import { countProgramTime, programStats, type ProgramStats } from "./bpf_stats.ts";
import { measureInGuest } from "./lab.ts";
import { prepare, run, trace } from "./native.ts";
import { table } from "./table.ts";
import { tracers } from "./tracers.ts";

const kinds = ["crr", "udprr"];
const COUNT_MS = 1_000;

export async function programs(): Promise<string> {
  const texts = [`Run times contain the counting itself, some 20 ns or 60 instructions per run.\n`];
  texts.push(`On this machine:\n\n${await native()}`);
  const names = tracers.map(({ name }) => name).filter((name) => name.startsWith("tracer-bpf"));
  const job = {
    workloads: kinds,
    tracers: names,
    rounds: 1,
    warmMs: 0,
    measureMs: COUNT_MS,
    programs: true,
  };
  const { release, blocks } = await measureInGuest("6.12", job, null);
  const rows = blocks.flatMap(({ workload, tracer, total, programs: found }) =>
    (found ?? []).flatMap((one) => rowOf(`${tracer}, ${workload}`, one, total, 4, "instructions")),
  );
  return [...texts, `\nIn the guest, ${release}:\n`, table(titles, rows)].join("\n");
}

// --- internal ---

const titles = ["tracer, traffic", "program", "runs per operation", "per run", "per operation"];

async function native(): Promise<string> {
  await using files = await prepare();
  const rows: string[][] = [];
  try {
    if (!countProgramTime(true)) return "this kernel does not count\n";
    for (const kind of kinds) {
      await using tracer = await trace(files);
      const before = new Map(programStats(tracer.pid).map((one) => [one.name, one]));
      const { total } = await run(files, kind, COUNT_MS);
      for (const { name, runs, ns } of programStats(tracer.pid)) {
        const old = before.get(name) ?? { runs: 0, ns: 0 };
        const one = { name, runs: runs - old.runs, ns: ns - old.ns };
        rows.push(...rowOf(`tracepoints, ${kind}`, one, total, 1, "ns"));
      }
    }
  } finally {
    countProgramTime(false);
  }
  return table(titles, rows);
}

/** Programs that ran less than once in a hundred operations are left out. */
function rowOf(
  what: string,
  { name, runs, ns }: ProgramStats,
  total: number,
  unit: number,
  unitName: string,
): string[][] {
  if (runs < total / 100) return [];
  const cells = [runs / total, ns / unit / runs, ns / unit / total];
  const [often, run_, op] = [cells[0]!.toFixed(2), cells[1]!.toFixed(0), cells[2]!.toFixed(0)];
  return [[what, `\`${name}\``, often, `${run_} ${unitName}`, `${op} ${unitName}`]];
}
