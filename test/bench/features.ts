/** Connections traced with a feature and without it, in guests whose clock counts instructions. */
import { INSTRUCTIONS_PER_SECOND, WARM_MS } from "./compare.ts";
import { measureInGuest } from "./lab.ts";
import { table } from "./table.ts";
import type { Translation } from "./translate.ts";

const kernel = process.env["KERNELS"] ?? "6.12";

interface Row {
  title: string;
  workload: "crr" | "entries";
  /** Names of tracers.ts. */
  tracers: readonly string[];
  translation?: Translation;
}

/** To add one, add a row; the tracer without the feature is a row of tracers.ts. */
const rows: readonly Row[] = [
  {
    title: "no connection tracking",
    workload: "crr",
    tracers: ["tracer-bpf, kprobes", "tracer-bpf, kprobes --no-protocols"],
  },
  {
    title: "connection tracking",
    workload: "crr",
    tracers: ["tracer-bpf, kprobes", "tracer-bpf, kprobes --no-nat"],
    translation: "plain",
  },
  {
    title: "connection tracking and DNAT",
    workload: "crr",
    tracers: ["tracer-bpf, kprobes", "tracer-bpf, kprobes --no-nat"],
    translation: "dnat",
  },
  {
    title: "connection tracking",
    workload: "entries",
    tracers: ["tracer-bpf, kprobes --tcp", "tracer-bpf, kprobes --tcp --no-nat"],
    translation: "plain",
  },
  {
    title: "connection tracking and DNAT",
    workload: "entries",
    tracers: ["tracer-bpf, kprobes --tcp", "tracer-bpf, kprobes --tcp --no-nat"],
    translation: "dnat",
  },
];

const HOW = `Each rate is a share of the same traffic's untraced one; instructions are those of one
operation. \`entries\`: datagrams of which conntrack makes an entry each, and which are not traced, as on a host that
forwards; the tracer's map of entries is full.`;

/** So long that conntrack has made more entries than the tracer keeps. */
const FILL_MS = 6_000;

export async function features(): Promise<string> {
  const cells: string[][] = [];
  let release = "";
  for (const { title, workload, tracers, ...how } of rows) {
    const job = {
      workloads: [workload],
      tracers,
      rounds: 1,
      warmMs: workload === "crr" ? WARM_MS : FILL_MS,
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
        workload,
        name,
        (block.opsPerSecond / untraced).toFixed(3),
        added.toFixed(0),
        block.reported?.lost ?? "-",
      ]);
    }
  }
  const titles = [
    "the host has",
    "traffic",
    "tracer",
    "rate",
    "instructions added",
    "lost, as it says",
  ];
  return `Linux ${release}, as in "Against other tracers". ${HOW}\n\n${table(titles, cells)}`;
}
