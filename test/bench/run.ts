/**
 * npm run bench [-- PART...]: measures, and writes what it found into RESULTS.md, one section per part. Parts that are
 * not asked for keep what they found before.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { burst, compare } from "./compare.ts";
import { features } from "./features.ts";
import { namespaces } from "./namespaces.ts";
import { openConnections } from "./open.ts";
import { programs } from "./programs.ts";
import { soak } from "./soak.ts";
import { start } from "./start.ts";
import { throughput } from "./throughput.ts";

/** Each gives the Markdown of its section. To add a part, add a row. */
const parts: Record<string, { title: string; measure: () => Promise<string> }> = {
  compare: { title: "Against other tracers", measure: compare },
  features: { title: "The cost of one feature", measure: features },
  burst: { title: "Bursts on two CPUs", measure: burst },
  programs: { title: "Kernel time per event, by program", measure: programs },
  start: { title: "From the start to the first event", measure: start },
  namespaces: { title: "The start with many network namespaces", measure: namespaces },
  soak: { title: "Memory", measure: soak },
  throughput: { title: "Decoding and printing", measure: async () => throughput() },
  open: { title: "100,000 open connections", measure: openConnections },
};

const file = join(import.meta.dirname, "RESULTS.md");
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(", ")}; there are: ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}
let failed = 0;
for (const [name, { title, measure }] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.error(`bench: ${name}`);
  const begun = performance.now();
  const text = await measure().catch((error: Error) => {
    failed++;
    return `Could not be measured: ${error.message}\n`;
  });
  const seconds = ((performance.now() - begun) / 1000).toFixed(0);
  const when = `${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, ${seconds} s`;
  save(title, `${text.trim()}\n\n_${when}; ${await host()}_\n`);
  console.error(`bench: ${name} took ${seconds} s`);
}
process.exit(failed === 0 ? 0 : 1);

// --- internal ---

async function host(): Promise<string> {
  const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  const git = Bun.spawnSync(["git", "describe", "--always", "--dirty"]).stdout.toString().trim();
  return `host: Linux ${release}, ${cpus().length} x ${cpus()[0]?.model}; tracer-bpf ${git}, Bun ${Bun.version}`;
}

/** Replaces one section, in the order of the table. */
function save(title: string, text: string): void {
  const sections = new Map<string, string>();
  if (existsSync(file)) {
    for (const section of readFileSync(file, "utf8").split(/^## /m).slice(1)) {
      const line = section.indexOf("\n");
      sections.set(section.slice(0, line), section.slice(line).trim());
    }
  }
  sections.set(title, text.trim());
  const inOrder = Object.values(parts).flatMap((part) => {
    const section = sections.get(part.title);
    return section === undefined ? [] : [`## ${part.title}\n\n${section}\n`];
  });
  const head = "# Measured\n\nWritten by `npm run bench`; do not edit.\n";
  writeFileSync(file, [head, ...inOrder].join("\n"));
}
