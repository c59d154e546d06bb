/** The same traffic untraced and with each tracer in turn, in guests whose clock counts instructions. */
import type { Block } from "./guest.ts";
import { measureInGuest, type Measured } from "./lab.ts";
import { fetchPeers, type Peers } from "./peers.ts";
import { mean, table } from "./table.ts";
import { tracers } from "./tracers.ts";

const kernels = process.env["KERNELS"]?.split(",") ?? ["6.1", "6.12", "newest"];
const workloads = ["stream", "rr", "crr", "udprr"] as const;

/** Of tracer-bpf; the share of the untraced rate. */
const targets = { stream: 0.99, rr: 0.99, crr: 0.9, udprr: 0.9 };

export const WARM_MS = 45_000;
const MEASURE_MS = 2_000;

export async function compare(): Promise<string> {
  const peers = await fetchPeers();
  const measured: Measured[] = [];
  for (const kernel of kernels) {
    const job = { workloads, tracers: namesFor(peers), rounds: 1, warmMs: WARM_MS };
    measured.push(await measureInGuest(kernel, { ...job, measureMs: MEASURE_MS }, peers));
  }
  return [
    HOW,
    versionsText(peers),
    ratios(measured, peers),
    "\nWhat was reported of `crr`, of which every connection has both ends on the host:\n",
    reported(measured),
    "\nInstructions per operation that tracing adds, and the tracer's own process, as a share of the CPU (of the block with its warming up, so the compiling of JavaScript is in it), in `crr`:\n",
    added(measured),
    missed(measured),
  ].join("\n");
}

/** Wall clock under emulation says nothing of cost: only whether everything was reported. */
export async function burst(): Promise<string> {
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
      rows.push([
        release,
        block.tracer,
        String(block.total),
        share(block),
        lossOf(block),
        bytesOf(block),
      ]);
  }
  return `Ten clients and ten servers at once, two CPUs, emulated: for completeness alone.\n\n${table(
    ["kernel", "tracer", "connections", "reported", "lost, as it says", "bytes"],
    rows,
  )}`;
}

// --- internal ---

const HOW = `QEMU with \`-icount shift=2,sleep=off\` and one CPU: the guest's clock counts instructions, 4 ns each, so a
ratio means instructions per operation over the whole machine: kernel, programs and the tracer's process. Untraced and
traced blocks alternate in one boot. \`stream\`: writes of 64 KiB; \`rr\`: 64 bytes each way on one connection; \`crr\`: connect,
64 bytes each way, close; \`udprr\`: 64-byte datagrams each way. All over 127.0.0.1, output to a file. Before each traced
block the tracer has idled for a minute, and where one connection is used all the time, again for one once it is there. In
\`crr\` ours, whose runtime compiles while it runs, has seen ${WARM_MS / 1000} s of the same traffic. Untraced is 1.00.\n`;

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

function ratioOf(measured: Measured, workload: string, tracer: string): number | null {
  const blocks = of(measured, workload, tracer);
  if (blocks.length === 0 || blocks.some(({ error }) => error !== undefined)) return null;
  return rate(blocks) / rate(of(measured, workload, "none"));
}

const text = (ratio: number | null): string => (ratio === null ? "failed" : ratio.toFixed(3));

function ratios(measured: readonly Measured[], peers: Peers): string {
  const rows = namesFor(peers).map((name) => [
    name,
    ...workloads.map((w) => measured.map((one) => text(ratioOf(one, w, name))).join(" / ")),
  ]);
  const releases = measured.map(({ release }) => release).join(" / ");
  return `Kernels: ${releases}\n\n${table(["tracer", ...workloads], rows)}`;
}

const traced = (
  measured: readonly Measured[],
  workload: string,
): { one: Measured; block: Block }[] =>
  measured.flatMap((one) =>
    one.blocks
      .filter((block) => block.workload === workload && block.tracer !== "none")
      .map((block) => ({ one, block })),
  );

function reported(measured: readonly Measured[]): string {
  const rows = traced(measured, "crr").map(({ one, block }) => [
    one.release,
    block.tracer,
    block.error ?? share(block),
    lossOf(block),
    bytesOf(block),
    block.peakKb ? `${(block.peakKb / 1024).toFixed(0)} MB` : "-",
  ]);
  return table(["kernel", "tracer", "reported", "lost, as it says", "bytes", "peak RSS"], rows);
}

const share = ({ reported: seen }: Block): string =>
  seen ? `${((100 * seen.seen) / seen.expected).toFixed(1)} % of ${seen.expected} lines` : "-";
const lossOf = ({ reported: seen }: Block): string => seen?.lost ?? "-";
const bytesOf = ({ bytes, moved }: Block): string =>
  bytes === undefined ? "-" : bytes === moved ? "exact" : `${bytes} instead of ${moved}`;

export const INSTRUCTIONS_PER_SECOND = 250e6;

function added(measured: readonly Measured[]): string {
  const rows = traced(measured, "crr").map(({ one, block }) => {
    const untraced = INSTRUCTIONS_PER_SECOND / rate(of(one, "crr", "none"));
    const more = INSTRUCTIONS_PER_SECOND / block.opsPerSecond - untraced;
    const own = (block.share ?? 0) * 100;
    return [one.release, block.tracer, untraced.toFixed(0), more.toFixed(0), `${own.toFixed(1)} %`];
  });
  return table(["kernel", "tracer", "untraced", "added", "own process"], rows);
}

function missed(measured: readonly Measured[]): string {
  const rows = measured.flatMap((one) =>
    workloads.flatMap((workload) =>
      tracers
        .filter(({ name }) => name.startsWith("tracer-bpf"))
        .map(({ name }) => ({ name, ratio: ratioOf(one, workload, name) }))
        .filter(({ ratio }) => ratio !== null && ratio < targets[workload])
        .map(({ name, ratio }) => [
          one.release,
          name,
          workload,
          text(ratio),
          String(targets[workload]),
        ]),
    ),
  );
  if (rows.length === 0) return "\nNo target is missed.\n";
  return `\nTargets missed:\n\n${table(["kernel", "tracer", "workload", "measured", "target"], rows)}\n${WHY}`;
}

const WHY = `Why. \`crr\` is four events and, with kprobes, some thirteen probes per connection. Each costs some 330 instructions
before its program begins, and the program what "Kernel time per event" tells, half of it in the helpers that read the
kernel's memory: together that is more than the target leaves, with or without a tool that reads it. The
rest is the tool's own process: the lines (see "Decoding and printing"), and what its runtime compiles and collects
meanwhile. \`udprr\`: the four ends of two datagrams per operation, each counted exactly by a probe and its program. \`rr\` with
tracepoints, Linux 6.3 and later: the one tracepoint that tells a datagram's length is passed by TCP's sends and receives
too, at some 250 instructions each, and from 7.0 on by two more programs (bpf/lib/backup.h); with \`--tcp\` it is not attached.\n`;
