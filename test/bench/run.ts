/**
 * npm run bench [-- PART...]: measures, and writes what it found into RESULTS.md, one section per part, and the targets at
 * its top. A part that is not asked for, or cannot be measured, keeps what it found before. A row of the part "features" is
 * asked for by its name. "summary" measures nothing: the top is written again.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { installTools } from "../vm/tools.ts";
import { burst, compare } from "./compare.ts";
import { startWithEntries } from "./entries.ts";
import { featureNames, features } from "./features.ts";
import { idle } from "./idle.ts";
import { live } from "./live.ts";
import { namespaces } from "./namespaces.ts";
import { openConnections } from "./open.ts";
import { programs } from "./programs.ts";
import { documentOf, sectionsOf } from "./results.ts";
import { slower } from "./rows.ts";
import { soak } from "./soak.ts";
import { start } from "./start.ts";
import { throughput } from "./throughput.ts";
import { turns } from "./turns.ts";

interface Part {
  title: string;
  /** Gives the Markdown of its section. `rows`: those that were asked for; `before`: what the section says at that moment. */
  measure: (rows: readonly string[], before: () => string) => Promise<string>;
}

/** To add a part, add a row. */
const parts: Record<string, Part> = {
  compare: { title: "Against other tracers", measure: compare },
  features: { title: "The cost of one feature", measure: features },
  burst: { title: "Bursts on two CPUs", measure: burst },
  programs: { title: "Kernel time per event, by program", measure: programs },
  entries: { title: "The start with 500,000 entries of conntrack", measure: startWithEntries },
  start: { title: "From the start to the first event", measure: start },
  namespaces: { title: "The start with many network namespaces", measure: namespaces },
  idle: { title: "A trace to which nothing happens", measure: idle },
  live: { title: "The live view", measure: live },
  turns: { title: "The event loop of a program that uses the library", measure: turns },
  soak: { title: "Memory", measure: soak },
  throughput: { title: "Decoding and printing", measure: async () => throughput() },
  open: { title: "100,000 open connections", measure: openConnections },
};

const file = join(import.meta.dirname, "RESULTS.md");
installTools();
const wanted = process.argv.slice(2);
const names = [...Object.keys(parts), ...featureNames, "summary"];
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(", ")}; there are: ${names.join(", ")}`);
  process.exit(2);
}
const rows = wanted.filter((name) => featureNames.includes(name));
if (rows.length > 0) wanted.push("features");
let failed = 0;
for (const [name, { title, measure }] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.error(`bench: ${name}`);
  const begun = performance.now();
  const commit = committed();
  try {
    const text = await measure(rows, () => sectionNow(title));
    for (const sentence of slower(sectionNow(title), text)) console.error(`bench: ${sentence}`);
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    const when = `${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, ${seconds} s`;
    save(title, `${text.trim()}\n\n_${when}; ${host(commit)}_`);
    console.error(`bench: ${name} took ${seconds} s`);
  } catch (error) {
    failed++;
    console.error(`bench: ${name} could not be measured: ${(error as Error).message}`);
  }
}
if (wanted.includes("summary")) save();
process.exit(failed === 0 ? 0 : 1);

// --- internal ---

function committed(): string {
  return Bun.spawnSync(["git", "describe", "--always", "--dirty"]).stdout.toString().trim();
}

function host(commit: string): string {
  const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  return `host: Linux ${release}, ${cpus().length} x ${cpus()[0]?.model}; tracer-bpf ${commit}, Bun ${Bun.version}`;
}

/** Read again each time: another bench may have written meanwhile. */
function sectionNow(title: string): string {
  return sectionsOf(readFileSync(file, "utf8")).get(title) ?? "";
}

/** With one section replaced, if one is given, in the order of the table. */
function save(title?: string, text = ""): void {
  const sections = sectionsOf(readFileSync(file, "utf8"));
  if (title !== undefined) sections.set(title, text);
  const titles = Object.values(parts).map((part) => part.title);
  writeFileSync(file, documentOf(titles, sections));
}
