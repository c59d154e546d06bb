/** From the start of the command to its first line, the guess included; connections are being made all the while. */
import { closeSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { measureInGuest } from "./lab.ts";
import { executable, prepare, type Native } from "./native.ts";
import { table } from "./table.ts";
import { tracers } from "./tracers.ts";

const RUNS = 7;

export async function start(): Promise<string> {
  await using native = await prepare();
  const runs: Start[] = [];
  for (let n = 0; n < RUNS; n++) runs.push(await once(native));
  const [ms, cpuMs] = [runs.map((one) => one.ms), runs.map((one) => one.cpuMs)].map(spread);
  const rows = [["this machine", "tracepoint", ms!, cpuMs!]];
  const names = tracers.map(({ name }) => name).filter((name) => name.startsWith("tracer-bpf"));
  const job = { workloads: ["start"], tracers: names, rounds: 1, warmMs: 0, measureMs: 0 };
  const { release, blocks } = await measureInGuest("6.12", job, null);
  for (const { tracer, startMs } of blocks)
    rows.push([
      `guest, ${release}`,
      tracer,
      `${startMs?.toFixed(0)} of its clock (4 ns per instruction)`,
      "-",
    ]);
  return table(["where", "how", "ms", "CPU, ms"], rows);
}

// --- internal ---

interface Start {
  ms: number;
  /** Of all threads, what the end takes included. */
  cpuMs: number;
}

function spread(unsorted: readonly number[]): string {
  const times = unsorted.toSorted((a, b) => a - b).map((time) => time.toFixed(0));
  return `${times[RUNS >> 1]} (${times[0]} to ${times.at(-1)}, ${RUNS} runs)`;
}

async function once(native: Native): Promise<Start> {
  const out = join(native.directory, "out");
  const stdout = openSync(out, "w");
  const begun = performance.now();
  const child = Bun.spawn([executable, "trace", "--json"], {
    stdin: "ignore",
    stdout,
    stderr: "ignore",
  });
  closeSync(stdout);
  while (statSync(out).size === 0 && performance.now() - begun < 30_000)
    Bun.spawnSync([native.load, "crr", "0", "1"]);
  const ms = performance.now() - begun;
  child.kill("SIGKILL");
  await child.exited;
  return { ms, cpuMs: Number(child.resourceUsage()!.cpuTime.total) / 1000 };
}
