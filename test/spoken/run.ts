/**
 * bun test/spoken/run.ts [--write] [KERNEL:MODE...]: real servers and clients on each kernel, and a table of how their protocols
 * were named. `host:tracepoint` is this host; an image of a kernel is named by its path. Results are kept: the table has those
 * of earlier runs too. `--write` puts it into docs/kernels.md; with it alone nothing is run.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { images } from "../vm/images.ts";
import { repository } from "../vm/initramfs.ts";
import { runInGuest } from "../vm/lab.ts";
import { installTools } from "../vm/tools.ts";
import type { Outcome } from "./outcome.ts";
import { installPrograms, makeFiles, packPrograms } from "./programs.ts";
import { tableOf, type Column } from "./table.ts";

const SCRIPT = "/test/spoken/guest.ts";
const MARKS = ["<!-- spoken -->", "<!-- end of spoken -->"] as const;
/** Not in the cache of root: PostgreSQL runs as nobody. */
const made = "/var/tmp/tracer-bpf-spoken";

async function main(): Promise<void> {
  const given = process.argv.slice(2).filter((word) => word !== "--write");
  installTools();
  installPrograms();
  await makeFiles(made);
  const isWriting = process.argv.includes("--write");
  for (const wanted of given.length > 0 || isWriting ? given : everything()) {
    const [kernel, mode] = wanted.split(/:(?=[^:]*$)/) as [string, string];
    keep(kernel === "host" ? await onHost(mode) : await inGuest(kernel, mode));
  }
  const table = tableOf(kept());
  console.log(table);
  if (isWriting) write(table);
}

// --- internal ---

const everything = (): string[] => [
  ...images().map((path) => `${path}:kprobe`),
  ...["5.10", "6.1", "6.12", "newest"].flatMap((kernel) => [
    `${kernel}:kprobe`,
    `${kernel}:tracepoint`,
  ]),
];

async function inGuest(kernel: string, mode: string): Promise<Column> {
  const outcomes: Outcome[] = [];
  const { release, failed, remarks } = await runInGuest({
    kernel,
    shell: `BUN_BE_BUN=1 /tracer-bpf run ${SCRIPT}`,
    env: { SPOKEN_MODE: mode, TRACER_BPF: "/tracer-bpf" },
    netfilter: true,
    extra: await packPrograms(made),
    machine: { memoryMb: 3072 },
    logName: `spoken-${kernel.replace(/.*\//, "")}-${mode}`,
    onLine: (line) => take(line, outcomes),
  });
  if (failed > 0) throw new Error(`${kernel}: ${remarks.join("; ")}`);
  return { kernel: release, mode, outcomes };
}

async function onHost(mode: string): Promise<Column> {
  const outcomes: Outcome[] = [];
  const child = Bun.spawn([process.execPath, join(repository, SCRIPT)], {
    env: { ...process.env, SPOKEN_MODE: mode, SPOKEN_MADE: made },
    stderr: "inherit",
  });
  for (const line of (await new Response(child.stdout).text()).split("\n")) take(line, outcomes);
  return { kernel: readFileSync("/proc/sys/kernel/osrelease", "utf8").trim(), mode, outcomes };
}

const results = join(made, "results");

function keep(column: Column): void {
  mkdirSync(results, { recursive: true });
  const name = `${column.kernel}-${column.mode}.json`;
  writeFileSync(join(results, name), JSON.stringify(column));
}

/** The oldest kernel first. */
const kept = (): Column[] =>
  readdirSync(results)
    .toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }))
    .map((name) => JSON.parse(readFileSync(join(results, name), "utf8")) as Column);

function take(line: string, into: Outcome[]): void {
  const json = /^@@ spoken (.*)$/.exec(line)?.[1];
  if (json !== undefined) into.push(JSON.parse(json) as Outcome);
  else if (/^@@ spoken-note|^@@ ready/.test(line)) console.error(line);
}

function write(table: string): void {
  const path = join(repository, "docs/kernels.md");
  const text = readFileSync(path, "utf8");
  const [from, to] = [text.indexOf(MARKS[0]) + MARKS[0].length, text.indexOf(MARKS[1])];
  if (from < MARKS[0].length || to < 0) throw new Error(`${path} has no place for the table`);
  writeFileSync(path, `${text.slice(0, from)}\n\n${table}\n${text.slice(to)}`);
}

await main();
