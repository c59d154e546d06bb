/**
 * In the guest: blocks of traffic, untraced and with each tracer in turn, in one boot. The guest's clock counts
 * instructions, so a block's rate means instructions per operation over the whole machine. Prints one line
 * "@@ bench JSON" per block.
 */
import { closeSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { countProgramTime, programStats, type ProgramStats } from "./bpf_stats.ts";
import { mountGroups } from "./groups.ts";
import { SERVICE, translate, type Translation } from "./translate.ts";
import { tracers, withFlags, type Reported, type Tracer } from "./tracers.ts";

export interface GuestJob {
  /** Kinds of load.c; "start" measures how long each tracer takes to its first line. */
  workloads: readonly string[];
  /** Names; "none" is in between by itself. */
  tracers: readonly string[];
  rounds: number;
  /**
   * Before a traced block of `crr`: a runtime that compiles while it runs is to be measured when it has done so. Before each
   * block of `entries`: the map is to be full. Of `udp1000`: each flow has begun.
   */
  warmMs: number;
  measureMs: number;
  pairs?: number;
  cpus?: number;
  /** Stops each tracer's process once it traces: what is left is the cost of its programs. */
  stopped?: boolean;
  /** The kernel tracks each connection, and translates its address or not. */
  translation?: Translation;
  /** Connections of `crr` speak HTTP; else they speak nothing that is known. */
  http?: boolean;
  /** Has the kernel count each program's runs and time, which slows them. */
  programs?: boolean;
}

export interface Block {
  workload: string;
  /** "none": untraced. */
  tracer: string;
  opsPerSecond: number;
  total: number;
  /** From its start to its first line, on the guest's clock. */
  startMs?: number;
  reported?: Reported;
  /** Sums of a tracer's closes, where it tells them: to be equal to `moved`. */
  bytes?: string;
  moved?: string;
  peakKb?: number;
  /** CPU time of the tracer's own process during the block, as a share of the block. */
  share?: number;
  programs?: ProgramStats[];
  error?: string;
}

/** Peers do not tell when they are attached. Waiting is free: an idle guest's clock jumps. */
const ATTACH_MS = 30_000;
/** A tracer's start is over after this time. */
const SETTLE_MS = 60_000;
/** By tracepoints the tracer asks once a second which UDP sockets are gone. */
const UDP_GONE_MS = 3_000;
/** TIME_WAIT is over after this, and entries of conntrack too: every block begins with a clean table. */
const QUIET_MS = 61_000;
const leavesMuch = new Set(["crr", "entries", "udp1000"]);

async function main(): Promise<void> {
  const job = JSON.parse(process.env["BENCH_JOB"]!) as GuestJob;
  if (job.programs) countProgramTime(true);
  if (job.translation !== undefined) translate(job.translation);
  const chosen = [...tracers, ...withFlags].filter(({ name }) => job.tracers.includes(name));
  for (const workload of job.workloads) {
    if (workload === "start") {
      for (const tracer of chosen) await tell(job, await started(tracer));
      continue;
    }
    // The first block after a boot is slower: the kernel still settles.
    untraced(job, workload);
    await quiet(job, workload);
    for (let round = 0; round < job.rounds; round++) {
      for (const tracer of chosen) {
        mountGroups(tracer.groups ?? 2);
        await tell(job, untraced(job, workload));
        await tell(job, await traced(job, workload, tracer));
      }
    }
  }
}

// --- internal ---

interface Load {
  ops: number;
  ns: number;
  total: number;
  sent: number;
  received: number;
}

/** Waiting costs nothing where the clock counts instructions: it jumps. */
const counts = ({ cpus = 1 }: GuestJob): boolean => cpus === 1;

async function tell(job: GuestJob, block: Block): Promise<void> {
  console.log(`@@ bench ${JSON.stringify(block)}`);
  await quiet(job, block.workload);
}

async function quiet(job: GuestJob, workload: string): Promise<void> {
  if (leavesMuch.has(workload) && counts(job)) await Bun.sleep(QUIET_MS);
}

function untraced(job: GuestJob, workload: string): Block {
  const warmMs = workload === "entries" ? job.warmMs : UNTRACED_WARM_MS;
  const { ops, ns, total } = run({ ...job, warmMs }, workload);
  return { workload, tracer: "none", opsPerSecond: ops / (ns / 1e9), total };
}

const UNTRACED_WARM_MS = 300;
const PLAIN_WARM_MS = 500;

/** Makes connections until the first of them is in the output. */
async function started(tracer: Tracer): Promise<Block> {
  const out = "/tmp/tracer.out";
  const stdout = openSync(out, "w");
  const { BUN_BE_BUN: _, ...env } = process.env;
  const began = performance.now();
  const child = Bun.spawn([...tracer.command], { stdin: "ignore", stdout, stderr: "ignore", env });
  closeSync(stdout);
  while (statSync(out).size === 0 && performance.now() - began < ATTACH_MS) {
    Bun.spawnSync(["/job/load", "crr", "0", "1"]);
    await Bun.sleep(10);
  }
  const startMs = performance.now() - began;
  child.kill("SIGKILL");
  await child.exited;
  return { workload: "start", tracer: tracer.name, opsPerSecond: 0, total: 0, startMs };
}

async function traced(job: GuestJob, workload: string, tracer: Tracer): Promise<Block> {
  const [out, err] = ["/tmp/tracer.out", "/tmp/tracer.err"] as const;
  const [stdout, stderr] = [openSync(out, "w"), openSync(err, "w")];
  // This script runs because BUN_BE_BUN makes the tracer's runtime a plain one: not so the tracer itself.
  const { BUN_BE_BUN: _, ...env } = process.env;
  const child = Bun.spawn([...tracer.command], { stdin: "ignore", stdout, stderr, env });
  for (const fd of [stdout, stderr]) closeSync(fd);
  try {
    await attached(tracer, err);
    await Bun.sleep(counts(job) ? SETTLE_MS : 2_000);
    if (job.stopped) child.kill("SIGSTOP");
    const [cpu, begun] = [cpuNs(child.pid), performance.now()];
    // A flow that is silent for 30 s ends: many flows are not left alone before they are measured.
    const busy = workload === "crr" ? tracer.compiles : leavesMuch.has(workload);
    const warmMs = busy ? job.warmMs : Math.min(job.warmMs, PLAIN_WARM_MS);
    const load = run({ ...job, warmMs }, workload);
    const share = (cpuNs(child.pid) - cpu) / 1e6 / (performance.now() - begun);
    const programs = job.programs ? programStats(child.pid) : undefined;
    if (job.stopped) child.kill("SIGCONT");
    if (workload.startsWith("udp") && counts(job)) await Bun.sleep(UDP_GONE_MS);
    const peakKb = Number(
      /VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1],
    );
    child.kill("SIGINT");
    await Promise.race([child.exited, Bun.sleep(ATTACH_MS)]);
    return {
      workload,
      tracer: tracer.name,
      opsPerSecond: load.ops / (load.ns / 1e9),
      total: load.total,
      peakKb,
      share,
      ...(programs && { programs }),
      ...(workload === "crr" ? whatItSaw(tracer, load, out, err) : {}),
      ...(workload.startsWith("udp") ? bytesOf(load, readLines(out), "udp") : {}),
    };
  } catch (error) {
    const said = readFileSync(err, "utf8").trim().split("\n").slice(-3).join(" / ");
    return {
      workload,
      tracer: tracer.name,
      opsPerSecond: 0,
      total: 0,
      error: `${String(error)} ${said}`,
    };
  } finally {
    child.kill("SIGKILL");
    for (const file of [out, err]) rmSync(file);
  }
}

/** Of all threads, those that have ended meanwhile too. */
function cpuNs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // Behind the name, which may have blanks: state is the first, utime and stime are the 12th and 13th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * NS_PER_TICK;
}

/** USER_HZ is 100 everywhere. */
const NS_PER_TICK = 10_000_000;

async function attached({ ready }: Tracer, err: string): Promise<void> {
  if (ready === undefined) return await Bun.sleep(ATTACH_MS);
  for (let waited = 0; !readFileSync(err, "utf8").includes(ready); waited += 100) {
    if (waited > ATTACH_MS) throw new Error("it did not begin to trace");
    await Bun.sleep(100);
  }
}

function run(job: GuestJob, workload: string): Load {
  // A tracer has seen what it is to see of a long connection, and is done with it, before it is measured.
  const pauseMs = !leavesMuch.has(workload) && counts(job) ? SETTLE_MS : 0;
  const times = [job.warmMs, job.measureMs, job.pairs ?? 1, pauseMs].map(String);
  const env = {
    ...process.env,
    ...(job.translation === "dnat" && { LOAD_ADDRESS: SERVICE }),
    ...(job.http === true && { LOAD_HTTP: "1" }),
  };
  const child = Bun.spawnSync(["/job/load", workload, ...times], { stderr: "inherit", env });
  if (child.exitCode !== 0) throw new Error(`the load ended with ${child.exitCode}`);
  return JSON.parse(child.stdout.toString()) as Load;
}

const readLines = (out: string): string[] => readFileSync(out, "utf8").split("\n");

function whatItSaw(tracer: Tracer, load: Load, out: string, err: string): Partial<Block> {
  const lines = readLines(out);
  const reported = tracer.count(lines, readFileSync(err, "utf8"), load.total);
  return { reported, ...bytesOf(load, lines, "tcp") };
}

/** The sums of the closes of tracer-bpf: each end has sent the bytes that the other has received. */
function bytesOf(load: Load, lines: readonly string[], protocol: string): Partial<Block> {
  const closes = lines.filter(
    (line) => line.includes('"event":"close"') && line.includes(`"protocol":"${protocol}"`),
  );
  if (closes.length === 0) return {};
  let [sent, received] = [0, 0];
  for (const line of closes) {
    const close = JSON.parse(line) as { bytes_sent: number; bytes_received: number };
    sent += close.bytes_sent;
    received += close.bytes_received;
  }
  const moved = load.sent + load.received;
  return { bytes: `${sent} ${received}`, moved: `${moved} ${moved}` };
}

// At the end, when every constant above has its value.
if (import.meta.main) await main();
