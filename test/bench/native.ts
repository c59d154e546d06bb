/** The built executable and the traffic maker on this machine. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repository } from "../vm/initramfs.ts";
import { compiledLoad } from "./lab.ts";

export const executable = join(repository, "dist/tracer-bpf");

export interface Native extends AsyncDisposable {
  load: string;
  directory: string;
}

export async function prepare(): Promise<Native> {
  const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-bench-"));
  const load = join(directory, "load");
  writeFileSync(load, (await compiledLoad()).data, { mode: 0o755 });
  return {
    load,
    directory,
    async [Symbol.asyncDispose]() {
      rmSync(directory, { recursive: true });
    },
  };
}

export interface Running extends AsyncDisposable {
  pid: number;
  out: string;
}

/** A trace that has begun, its JSON in a file. */
export async function trace({ directory }: Native, ...more: string[]): Promise<Running> {
  const [out, err] = [join(directory, "out"), join(directory, "err")];
  // A trace before this one may have left its text there.
  for (const file of [out, err]) writeFileSync(file, "");
  const child = Bun.spawn([executable, "trace", "--json", ...more], {
    stdin: "ignore",
    stdout: Bun.file(out),
    stderr: Bun.file(err),
  });
  while (!readFileSync(err, "utf8").includes("tracing ")) {
    if (child.exitCode !== null) throw new Error(readFileSync(err, "utf8"));
    await Bun.sleep(20);
  }
  return {
    pid: child.pid,
    out,
    async [Symbol.asyncDispose]() {
      child.kill("SIGINT");
      await child.exited;
    },
  };
}

export interface Loaded {
  ops: number;
  ns: number;
  total: number;
}

export async function run({ load }: Native, kind: string, ms: number): Promise<Loaded> {
  const child = Bun.spawn([load, kind, "0", String(ms)], { stdout: "pipe" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`load ${kind} failed`);
  return JSON.parse(text) as Loaded;
}

/** In MB: VmRSS, RssAnon (what is of no file), VmHWM. */
export function memoryOf(pid: number): { now: number; anonymous: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kb = (name: string) => Number(new RegExp(`${name}:\\s*(\\d+)`).exec(status)?.[1]) / 1024;
  return { now: kb("VmRSS"), anonymous: kb("RssAnon"), peak: kb("VmHWM") };
}
