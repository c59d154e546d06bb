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
  const times: number[] = [];
  for (let n = 0; n < RUNS; n++) times.push(await once(native));
  times.sort((a, b) => a - b);
  const rows = [
    [
      "this machine",
      "tracepoint",
      `${times[RUNS >> 1]!.toFixed(0)} (${times[0]!.toFixed(0)} to ${times.at(-1)!.toFixed(0)}, ${RUNS} runs)`,
    ],
  ];
  const names = tracers.map(({ name }) => name).filter((name) => name.startsWith("tracer-bpf"));
  const job = { workloads: ["start"], tracers: names, rounds: 1, warmMs: 0, measureMs: 0 };
  const { release, blocks } = await measureInGuest("6.12", job, null);
  for (const { tracer, startMs } of blocks)
    rows.push([
      `guest, ${release}`,
      tracer,
      `${startMs?.toFixed(0)} of its clock (4 ns per instruction)`,
    ]);
  return table(["where", "how", "ms"], rows);
}

// --- internal ---

async function once(native: Native): Promise<number> {
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
  const took = performance.now() - begun;
  child.kill("SIGKILL");
  await child.exited;
  return took;
}
