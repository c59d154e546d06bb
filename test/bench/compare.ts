/** The same traffic untraced and with each tracer in turn, in guests whose clock counts instructions. */
import type { Block } from "./guest.ts";
import { kernelsOr, measureInGuest, type Measured } from "./lab.ts";
import { fetchPeers, type Peers } from "./peers.ts";
import { merged } from "./rows.ts";
import { mean, table } from "./table.ts";
import { tracers } from "./tracers.ts";

const kernels = kernelsOr("6.1", "6.12", "newest");
const workloads = ["stream", "rr", "crr", "udprr"] as const;

export const WARM_MS = 45_000;
const MEASURE_MS = 2_000;

/** Kernels that are not measured stay as they are in `before`. */
export async function compare(_: readonly string[], before: () => string): Promise<string> {
  const peers = await fetchPeers();
  const measured: Measured[] = [];
  for (const kernel of kernels) {
    const job = { workloads, tracers: namesFor(peers), rounds: 1, warmMs: WARM_MS };
    measured.push(await measureInGuest(kernel, { ...job, measureMs: MEASURE_MS }, peers));
  }
  return comparison(measured, versionsText(peers), before());
}

/** Wall clock under emulation says nothing of cost: only whether everything was reported. */
export async function burst(_: readonly string[], before: () => string): Promise<string> {
  const rows: string[][] = [];
  for (const kernel of kernels) {
    const job = {
      workloads: ["crr"],
      rounds: 1,
      warmMs: 500,
      measureMs: 2_000,
      cpus: 2,
      pairs: 10,
    };
    const names = tracers.map(({ name }) => name).filter((name) => name.startsWith("tracer-bpf"));
    const { release, blocks } = await measureInGuest(kernel, { ...job, tracers: names }, null);
    for (const block of blocks.filter((b) => b.tracer !== "none"))
      rows.push([release, block.tracer, String(block.total), reportOf(block)]);
  }
  const titles = ["Linux", "tracer", "connections", "reported"];
  return `Ten clients and ten servers at once, two CPUs, emulated: for completeness alone.\n\n${table(
    titles,
    merged(before(), titles, rows),
  )}`;
}

/** How much of its events a tracer has told, whether all bytes are in them, and what it says that it lost. */
export function reportOf({ reported: seen, bytes, moved }: Block): string {
  return (
    [
      // A filter reports nothing, and nothing is expected of it.
      ...(seen && seen.expected > 0 ? [`${((100 * seen.seen) / seen.expected).toFixed(1)} %`] : []),
      ...(bytes === undefined
        ? []
        : [bytes === moved ? "bytes exact" : `bytes ${bytes}, not ${moved}`]),
      ...(seen ? [seen.lost] : []),
    ].join(", ") || "-"
  );
}

// --- internal ---

function comparison(measured: readonly Measured[], versions: string, before: string): string {
  return [
    HOW,
    versions,
    table(RATIOS, merged(before, RATIOS, measured.flatMap(ratios))),
    CRR,
    table(REPORTED, merged(before, REPORTED, measured.flatMap(reported))),
  ].join("\n");
}

const HOW = `QEMU with \`-icount shift=2,sleep=off\` and one CPU: the guest's clock counts instructions, 4 ns each, so a
ratio means instructions per operation over the whole machine: kernel, programs and the tracer's process. Untraced and
traced blocks alternate in one boot. \`stream\`: writes of 64 KiB; \`rr\`: 64 bytes each way on one connection; \`crr\`: connect,
64 bytes each way, close; \`udprr\`: 64-byte datagrams each way. All over 127.0.0.1, output to a file. Before each traced
block the tracer has idled for a minute, and where one connection is used all the time, again for one once it is there. In
\`crr\` ours, whose runtime compiles while it runs, has seen ${WARM_MS / 1000} s of the same traffic. Each rate is that of
the first 2 s after the rest, for which ours does more at once; the next section has 10 s of long connections. Untraced is 1.00.\n`;

function versionsText(peers: Peers): string {
  if (peers.missing !== null) return `The other tracers could not be had: ${peers.missing}\n`;
  const versions = Object.entries(peers.versions).map(([name, version]) => `${name} ${version}`);
  return `Other tracers, from Debian's packages: ${versions.join(", ")}; the bpftrace script is load/connections.bt.\n`;
}

const namesFor = ({ missing }: Peers): string[] =>
  tracers
    .filter((tracer) => missing === null || tracer.package === undefined)
    .map(({ name }) => name);

const of = ({ blocks }: Measured, workload: string, tracer: string): Block[] =>
  blocks.filter((block) => block.workload === workload && block.tracer === tracer);
const rate = (blocks: readonly Block[]): number => mean(blocks.map((block) => block.opsPerSecond));

function ratioOf(measured: Measured, workload: string, tracer: string): string {
  const blocks = of(measured, workload, tracer);
  if (blocks.length === 0 || blocks.some(({ error }) => error !== undefined)) return "failed";
  return (rate(blocks) / rate(of(measured, workload, "none"))).toFixed(3);
}

const RATIOS = ["Linux", "tracer", ...workloads, "measured"];
const CRR = `What was reported of \`crr\`, of which every connection has both ends on the host; what tracing adds to a connection; and the
tracer's own process as a share of the CPU, the compiling of JavaScript before included.
`;
const REPORTED = [
  ...["Linux", "tracer", "reported", "lines", "peak RSS, MB", "instructions added"],
  "own process, %",
];

const today = (): string => new Date().toISOString().slice(0, 10);

function ratios(measured: Measured): string[][] {
  const names = new Set(measured.blocks.map(({ tracer }) => tracer).filter((n) => n !== "none"));
  return [...names].map((name) => [
    ...[measured.release, name],
    ...workloads.map((workload) => ratioOf(measured, workload, name)),
    today(),
  ]);
}

export const INSTRUCTIONS_PER_SECOND = 250e6;

function reported(measured: Measured): string[][] {
  const untraced = INSTRUCTIONS_PER_SECOND / rate(of(measured, "crr", "none"));
  const traced = measured.blocks.filter((b) => b.workload === "crr" && b.tracer !== "none");
  return traced.map((block) => [
    measured.release,
    block.tracer,
    block.error ?? reportOf(block),
    String(block.reported?.expected ?? "-"),
    ((block.peakKb ?? 0) / 1024).toFixed(0),
    (INSTRUCTIONS_PER_SECOND / block.opsPerSecond - untraced).toFixed(0),
    ((block.share ?? 0) * 100).toFixed(1),
  ]);
}
