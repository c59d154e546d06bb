/** Connections traced with a feature and without it, in guests whose clock counts instructions. */
import { INSTRUCTIONS_PER_SECOND, WARM_MS } from "./compare.ts";
import { measureInGuest } from "./lab.ts";
import { table } from "./table.ts";
import type { Translation } from "./translate.ts";

const kernel = process.env["KERNELS"] ?? "6.12";

interface Row {
  title: string;
  /** Names of tracers.ts. */
  tracers: readonly string[];
  translation?: Translation;
}

/** To add one, add a row; the tracer without the feature is a row of tracers.ts. */
const rows: readonly Row[] = [
  {
    title: "no connection tracking",
    tracers: ["tracer-bpf, kprobes", "tracer-bpf, kprobes --no-protocols"],
  },
  {
    title: "connection tracking",
    tracers: ["tracer-bpf, kprobes", "tracer-bpf, kprobes --no-nat"],
    translation: "plain",
  },
  {
    title: "connection tracking and DNAT",
    tracers: ["tracer-bpf, kprobes", "tracer-bpf, kprobes --no-nat"],
    translation: "dnat",
  },
];

export async function features(): Promise<string> {
  const cells: string[][] = [];
  let release = "";
  for (const { title, tracers, ...how } of rows) {
    const job = {
      workloads: ["crr"],
      tracers,
      rounds: 1,
      warmMs: WARM_MS,
      measureMs: 2_000,
      ...how,
    };
    const measured = await measureInGuest(kernel, job, null);
    release = measured.release;
    for (const name of tracers) {
      const at = measured.blocks.findIndex((block) => block.tracer === name);
      const block = measured.blocks[at]!;
      if (block.error !== undefined) throw new Error(`${title}, ${name}: ${block.error}`);
      const untraced = measured.blocks[at - 1]!.opsPerSecond;
      const added =
        INSTRUCTIONS_PER_SECOND / block.opsPerSecond - INSTRUCTIONS_PER_SECOND / untraced;
      cells.push([
        title,
        name,
        (block.opsPerSecond / untraced).toFixed(3),
        added.toFixed(0),
        block.reported?.lost ?? "-",
      ]);
    }
  }
  const titles = ["the host has", "tracer", "crr", "instructions added", "lost, as it says"];
  return `Linux ${release}, as in "Against other tracers". Each ratio is to the same traffic untraced.\n\n${table(titles, cells)}`;
}
