/** Resident memory of the tool: at rest, and while connections come and go. And what is left behind afterwards. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { exists, holdingsOf, leftOf } from "../kernel/drive/leftovers.ts";
import { memoryOf, prepare, run, trace, type Native, type Running } from "./native.ts";
import { table } from "./table.ts";

const SECONDS = process.env["FULL"] ? 60 : 10;
/** Minutes of little traffic after that: what grows a little all the time is seen only so. */
const MINUTES = Number(process.env["MINUTES"] ?? 0);

/** Traffic of a round, and its milliseconds. */
const round = { crr: 30, udprr: 20, rr: 20, stream: 10 } as const;
const PAUSE_MS = 2_500;
/** Of the slow part, each with a row. */
const PARTS = 6;

export async function soak(): Promise<string> {
  await using native = await prepare();
  await using tracer = await trace(native, "--debug");
  await Bun.sleep(5_000);
  const rest = memoryOf(tracer.pid);
  const held = holdingsOf(tracer.pid);
  const descriptors = descriptorsOf(tracer);
  const { total } = await run(native, "crr", SECONDS * 1000);
  const peak = memoryOf(tracer.pid);
  const rows = [
    ["RSS at rest, MB", rest.now.toFixed(0)],
    ["peak since the start, the guess included, MB", rest.peak.toFixed(0)],
    [`peak after ${SECONDS} s of crr, ${total} connections, MB`, peak.peak.toFixed(0)],
    ...(await slowly(native, tracer)),
    ["descriptors at rest, and at the end", `${descriptors}, ${descriptorsOf(tracer)}`],
  ];
  const all = [...held, ...holdingsOf(tracer.pid)].filter(exists);
  await tracer[Symbol.asyncDispose]();
  const left = await leftOf(all);
  rows.push(
    ["programs, maps and links left in the kernel after SIGINT", String(left.length)],
    ["fullest map at the start, and at the end, entries", fullest(native)],
  );
  return `On this machine, not emulated. FULL=1 makes it 60 s; MINUTES=30 adds half an hour of less.\n\n${table(["", ""], rows)}`;
}

// --- internal ---

async function slowly(native: Native, tracer: Running): Promise<string[][]> {
  const rows: string[][] = [];
  for (let part = 1; part <= PARTS && MINUTES > 0; part++) {
    const until = performance.now() + (MINUTES * 60_000) / PARTS;
    while (performance.now() < until) {
      for (const [kind, ms] of Object.entries(round)) await run(native, kind, ms);
      await Bun.sleep(PAUSE_MS);
    }
    const minutes = ((MINUTES * part) / PARTS).toFixed(1);
    rows.push([`RSS after ${minutes} min of less, MB`, memoryOf(tracer.pid).now.toFixed(0)]);
  }
  return rows;
}

const descriptorsOf = ({ pid }: Running): number => readdirSync(`/proc/${pid}/fd`).length;

/** As `--debug` says it, before the trace and after it. */
function fullest({ directory }: Native): string {
  const text = readFileSync(join(directory, "err"), "utf8");
  const entries = [...text.matchAll(/^debug: map \w+: (\d+) of \d+$/gm)].map(([, n]) => Number(n));
  const half = entries.length / 2;
  return [entries.slice(0, half), entries.slice(half)].map((of) => Math.max(...of)).join(", ");
}
