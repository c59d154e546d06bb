/** Connections traced with a feature and without it, in guests whose clock counts instructions. */
import type { Block } from "./guest.ts";
import { INSTRUCTIONS_PER_SECOND, WARM_MS } from "./compare.ts";
import { measureInGuest } from "./lab.ts";
import { table } from "./table.ts";
import type { Translation } from "./translate.ts";

const kernels = process.env["KERNELS"]?.split(",") ?? ["6.12"];

interface Row {
  /** The word that asks for it on the command line. */
  name: string;
  workload: "stream" | "rr" | "udprr" | "crr" | "entries";
  /** Names of tracers.ts. */
  tracers: readonly string[];
  translation?: Translation;
  warmMs: number;
  measureMs: number;
}

const MEASURE_MS = 2_000;
/** Where a connection is used all the time: two pauses of the lease (src/trace/protocols/lease.ts), and what is between them. */
const LONG_MS = 10_000;
/** So long that conntrack has made more entries than the tracer keeps. */
const FILL_MS = 6_000;

const kprobes = "tracer-bpf, kprobes";
const warm = { workload: "crr", warmMs: WARM_MS, measureMs: MEASURE_MS } as const;
const filling = {
  workload: "entries",
  tracers: [`${kprobes} --tcp`, `${kprobes} --tcp --no-nat`],
  warmMs: FILL_MS,
  measureMs: MEASURE_MS,
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
    measureMs: LONG_MS,
  })),
  {
    name: "plain",
    tracers: [...both, `${kprobes} --no-protocols`, `${kprobes} --no-nat`, FILTER],
    ...warm,
  },
  { name: "tracked", tracers: [kprobes, `${kprobes} --no-nat`], translation: "plain", ...warm },
  { name: "dnat", tracers: [kprobes, `${kprobes} --no-nat`], translation: "dnat", ...warm },
  { name: "entries-plain", translation: "plain", ...filling },
  { name: "entries-dnat", translation: "dnat", ...filling },
  { name: "first-second", measureMs: 1_000, ...cold },
  { name: "first-10-seconds", measureMs: 10_000, ...cold },
  {
    name: "filters",
    tracers: [
      kprobes,
      `${kprobes} --comm load`,
      `${kprobes} --port 1024-65535`,
      `${kprobes} --events close`,
      `${kprobes} --output table`,
      `${kprobes} --record /tmp/record`,
    ],
    ...warm,
  },
];

export const featureNames: readonly string[] = rows.map(({ name }) => name);

const HOW = `As in "Against other tracers". Each rate is a share of the same traffic's untraced one; instructions are those of one
operation. \`npm run bench NAME\` measures the rows of one name, and tells of each that is slower by more than 2 % than it
was.

- \`stream\`, \`rr\`, \`udprr\`, \`plain\`: that traffic (\`plain\`: \`crr\`) without connection tracking. The first three are measured for
  10 s after a minute without traffic: in the first second the runtime takes some 70 million instructions, once.
- "a filter of packets": a packet socket whose filter takes nothing. Tracers that know protocols by one do more for each packet.
- \`tracked\`: \`crr\`, conntrack tracks each connection. \`dnat\`: it also translates its address.
  A rate of \`crr\` is that of 2 s, in which the runtime may compile or collect: two runs have differed by 0.06.
- \`entries-...\`: datagrams of which conntrack makes an entry each, and which are not traced, as on a host that forwards;
  the tracer's map of entries is full.
- \`first-second\`, \`first-10-seconds\`: \`crr\` from its beginning on, while the runtime still compiles.
- \`filters\`: all connections meet the filter, so as many lines are printed, but for \`--events\`.

\`rr\` by tracepoints, Linux 6.3 and later (target 0.99): the two tracepoints that tell a datagram's length are passed by TCP's sends and
receives too, four times per operation, at some 130 instructions, of which a program that does nothing takes 110: so 0.985 would be the
most. No other tracepoint tells these lengths, and hooks that come and go would miss the first datagrams. From 7.0 on there are three
programs at each (bpf/lib/backup.h), and the rate is 0.93. With \`--tcp\` they are not attached.

Second by second (target of \`rr\`: none below 0.985): of 48 s by kprobes seven were below it, 0.81 to 0.98, with a mean of 0.991 over
all, while untraced ones had 1.00. What these seconds took is not known; rows of 10 s do not show them.

What remains, on 6.12 by kprobes and fentry. With the tool's process stopped, \`crr\` has a rate of 0.91 (0.92 without protocols; by
kprobes alone 0.88 and 0.90): its programs add 12,500 instructions, by kprobes alone 17,300. A stopped tool takes no event, which
costs some 2,100 of them. The other 10,400: entries 2,120 (11 of fentry at 125, one of fexit at 297, 5 of the tracepoint at 90), accept
2,010, close 1,990 for both ends, the end of the handshake 1,470, the SYN 1,190, segments 980, the ends of the protocol and of the sock
260 each, the gate 110, connect(2)'s result 25. So what keeps \`crr\` below 0.90 is the tool first. The rest is the tool's
process. In the first second (target 0.78) it takes 58 % of the processor: its main thread 28, the runtime's compilers 31. The shim
makes the lines; looks at first bytes are most of what remains: with \`--no-protocols\` the main thread takes 18 to 25, the compilers 4
to 5, and the rate is 0.65 to 0.69. Without the optimizing compiler (\`BUN_JSC_useDFGJIT=0\`) the rate was 0.53; an executable cannot
choose that for itself. After 0.03 s of such traffic a minute before it is about 0.39, after 0.2 s 0.49, after 1 s 0.53: to have run
all functions once gains little. With a filter,
\`crr\` after 15 s of traffic was at 0.33 to 0.35 while each record became an event; since the shim sifts, \`--comm\` and \`--port\` are
at 0.64, as without a filter, \`--events close\` at 0.68 (target 0.91).`;

/** By how much a rate may be lower than before, until it is told. */
const TOLERANCE = 0.02;

/** `names`: the rows to be measured, none for all; the others stay as they are in `before`. */
export async function features(names: readonly string[], before: string): Promise<string> {
  const cells = cellsOf(before);
  const chosen = rows.filter(({ name }) => names.length === 0 || names.includes(name));
  for (const kernel of kernels)
    for (const row of chosen) for (const cell of await measure(kernel, row)) put(cells, cell);
  const order = (cell: Cells) => featureNames.indexOf(cell[0]!);
  const known = cells.filter((cell) => order(cell) >= 0).toSorted((a, b) => order(a) - order(b));
  return `${HOW}\n\n${table(TITLES, known)}`;
}

// --- internal ---

const TITLES = [
  ...["name", "Linux", "tracer", "rate", "instructions added", "lost, as it says"],
  "measured",
];
/** Of these the first three say what was measured. */
type Cells = readonly string[];
const KEYS = 3;
const RATE = 3;

async function measure(kernel: string, { name, workload, ...row }: Row): Promise<Cells[]> {
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
    block.reported?.lost ?? "-",
  ];
}

/** The rows of a section's table. */
const cellsOf = (section: string): Cells[] =>
  section
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.slice(2, -2).split(" | "));

function put(cells: Cells[], measured: Cells): void {
  const key = (of: Cells) => of.slice(0, KEYS).join(" | ");
  const at = cells.findIndex((of) => key(of) === key(measured));
  if (at < 0) return void cells.push(measured);
  const [then, now] = [Number(cells[at]![RATE]), Number(measured[RATE])];
  if (now < then * (1 - TOLERANCE))
    console.error(`bench: slower than before: ${key(measured)}: ${now}, was ${then}`);
  cells[at] = measured;
}
