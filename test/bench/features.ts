/** Connections traced with a feature and without it, in guests whose clock counts instructions. */
import type { Block } from "./guest.ts";
import { INSTRUCTIONS_PER_SECOND, WARM_MS, reportOf } from "./compare.ts";
import { kernelsOr, measureInGuest } from "./lab.ts";
import { merged } from "./rows.ts";
import { table } from "./table.ts";
import { asked } from "./tracers.ts";
import type { Translation } from "./translate.ts";

const kernels = kernelsOr("6.12");

interface Row {
  /** The word that asks for it on the command line. */
  name: string;
  workload: "stream" | "rr" | "udprr" | "udp1000" | "crr" | "entries";
  /** Names of tracers.ts. */
  tracers: readonly string[];
  translation?: Translation;
  http?: boolean;
  warmMs: number;
  measureMs: number;
}

/**
 * Where a connection is used all the time: two pauses of the lease (src/trace/protocols/lease.ts), and what is between them.
 * Of connections in turn: the runtime compiles and collects now and then, which 2 s may have or not.
 */
const MEASURE_MS = 10_000;
/** So long that conntrack has made more entries than the tracer keeps. */
const FILL_MS = 6_000;

const kprobes = "tracer-bpf, kprobes";
const warm = { workload: "crr", warmMs: WARM_MS, measureMs: MEASURE_MS } as const;
const filling = {
  workload: "entries",
  tracers: [`${kprobes} --tcp`, `${kprobes} --tcp --no-nat`],
  warmMs: FILL_MS,
  measureMs: 2_000,
} as const;
const both = [kprobes, "tracer-bpf, tracepoints"];
const FILTER = "a filter of packets";
const cold = { workload: "crr", tracers: both, warmMs: 0 } as const;

/** To add one, add a row; the tracer without the feature is a row of tracers.ts. */
const rows: readonly Row[] = [
  ...(["stream", "rr", "udprr"] as const).map((workload) => ({
    ...warm,
    name: workload,
    workload,
    // Without UDP, whose hooks run at each send and receive of TCP.
    tracers: workload === "udprr" ? both : [...both, "tracer-bpf, tracepoints --tcp", FILTER],
  })),
  { ...warm, name: "udp1000", workload: "udp1000", tracers: both, warmMs: 5_000 },
  {
    name: "plain",
    tracers: [...both, `${kprobes} --no-protocols`, `${kprobes} --no-nat`, FILTER],
    ...warm,
  },
  { name: "endpoint", tracers: [kprobes, `${kprobes} --no-protocols`], http: true, ...warm },
  { name: "tracked", tracers: [kprobes, `${kprobes} --no-nat`], translation: "plain", ...warm },
  { name: "dnat", tracers: [kprobes, `${kprobes} --no-nat`], translation: "dnat", ...warm },
  { name: "entries-plain", translation: "plain", ...filling },
  { name: "entries-dnat", translation: "dnat", ...filling },
  { name: "cgroups-v1", tracers: [kprobes, `${kprobes}, cgroup v1`], ...warm },
  { name: "first-second", measureMs: 1_000, ...cold },
  { name: "first-10-seconds", measureMs: 10_000, ...cold },
  {
    name: "filters",
    tracers: [kprobes, ...asked.map((flags) => [kprobes, ...flags].join(" "))],
    ...warm,
    // There are many of them, and each is compared with the first.
    warmMs: 15_000,
    measureMs: 5_000,
  },
];

export const featureNames: readonly string[] = rows.map(({ name }) => name);

const HOW = `As in "Against other tracers". Each rate is a share of the same traffic's untraced one; instructions are those of one
operation. \`npm run bench NAME\` measures the rows of one name, \`KERNELS=6.1,6.12,newest\` those of these kernels.

- \`stream\`, \`rr\`, \`udprr\`, \`plain\`: that traffic (\`plain\`: \`crr\`) without connection tracking. Each rate is
  of 10 s: of \`crr\` after 45 s of the same traffic, of the others after a minute without any. \`udp1000\`: as \`udprr\`, each time
  from the next one of 1,000 sockets to the server's, after 5 s of that.
- "a filter of packets": a packet socket whose filter takes nothing. Tracers that know protocols by one do more for each packet.
- \`endpoint\`: \`plain\`, but the connections speak HTTP, so what the server speaks is known after the first of them (target: 0.007 below
  the same without protocols).
- \`tracked\`: \`crr\`, conntrack tracks each connection. \`dnat\`: it also translates its address.
- \`entries-...\`: datagrams of which conntrack makes an entry each, and which are not traced, as on a host that forwards;
  the tracer's map of entries is full.
- \`cgroups-v1\`: \`crr\`, with control groups of version 1 mounted and none of version 2.
- \`first-second\`, \`first-10-seconds\`: \`crr\` from its beginning on, while the runtime still compiles.
- \`filters\`: all connections meet the filter, so as many lines are printed, but for \`--events\`. Of 5 s after 15 s.`;

/** `names`: the rows to be measured, none for all; the others stay as they are in `before`. */
export async function features(names: readonly string[], before: () => string): Promise<string> {
  const chosen = rows.filter(({ name }) => names.length === 0 || names.includes(name));
  const measured: (readonly string[])[] = [];
  for (const kernel of kernels)
    for (const row of chosen) measured.push(...(await measure(kernel, row)));
  const order = (cells: readonly string[]) => featureNames.indexOf(cells[0]!);
  const known = merged(before(), TITLES, measured).filter((cells) => order(cells) >= 0);
  return `${HOW}\n\n${table(
    TITLES,
    known.toSorted((a, b) => order(a) - order(b)),
  )}`;
}

// --- internal ---

const TITLES = [
  ...["name", "Linux", "tracer", "rate", "instructions added", "reported"],
  "measured",
];

async function measure(kernel: string, { name, workload, ...row }: Row): Promise<string[][]> {
  const job = { workloads: [workload], rounds: 1, ...row };
  const { release, blocks } = await measureInGuest(kernel, job, null);
  return row.tracers.map((tracer) => {
    const at = blocks.findIndex((block) => block.tracer === tracer);
    return [name, release, tracer, ...figures(blocks[at]!, blocks[at - 1]!), moment()];
  });
}

/** The day and the commit: rows of one table are measured one by one. */
function moment(): string {
  const { stdout } = Bun.spawnSync(["git", "describe", "--always", "--dirty"]);
  return `${new Date().toISOString().slice(0, 10)}, ${stdout.toString().trim()}`;
}

function figures(block: Block, untraced: Block): string[] {
  if (block.error !== undefined) throw new Error(`${block.tracer}: ${block.error}`);
  const each = (of: Block) => INSTRUCTIONS_PER_SECOND / of.opsPerSecond;
  return [
    (block.opsPerSecond / untraced.opsPerSecond).toFixed(3),
    (each(block) - each(untraced)).toFixed(0),
    reportOf(block),
  ];
}
