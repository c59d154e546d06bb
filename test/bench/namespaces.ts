/** From the start of the command until it traces, on a host with many network namespaces: containers have one each. */
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { executable, prepare, type Native } from "./native.ts";
import { table } from "./table.ts";

const RUNS = 5;
/** Connections of one process, which holds both ends and no more descriptors than a process gets without asking. */
const SHARE = 1000;

/** Connections are counted once; both ends are on this host. To add a host, add a row. */
const hosts = [
  { what: "no other namespace", namespaces: 0, connections: 0, elsewhere: 0 },
  { what: "600 empty namespaces", namespaces: 600, connections: 0, elsewhere: 0 },
  {
    what: "200 namespaces with 50 connections each, 10,000 more elsewhere",
    namespaces: 200,
    connections: 50,
    elsewhere: 10_000,
  },
] as const;

/** The second is what a kernel without the iterator does. */
const ways = [
  { how: "by one walk over all files", without: "" },
  { how: "namespace by namespace", without: "holder_iterator" },
];

export async function namespaces(): Promise<string> {
  await using native = await prepare();
  const rows: string[][] = [];
  for (const host of hosts) {
    await using _ = await inhabit(native, host);
    for (const { how, without } of ways) {
      const times: number[] = [];
      for (let n = 0; n < RUNS; n++) times.push(await once(native, without));
      times.sort((a, b) => a - b);
      const [least, median, most] = [times[0]!, times[RUNS >> 1]!, times.at(-1)!];
      const ms = `${median.toFixed(0)} (${least.toFixed(0)} to ${most.toFixed(0)}, ${RUNS} runs)`;
      rows.push([host.what, how, ms]);
    }
  }
  return `On this machine, not emulated.\n\n${table(["host", "listing", "ms until it traces"], rows)}`;
}

// --- internal ---

/** A process that holds connections says so once all are there; a process that reads holds an empty namespace. */
async function inhabit({ load }: Native, host: (typeof hosts)[number]): Promise<AsyncDisposable> {
  const { namespaces: count, connections, elsewhere } = host;
  const content = connections === 0 ? "echo; exec cat" : `exec ${load} hold ${connections}`;
  const inside = ["unshare", "-n", "sh", "-c", `ip link set lo up; ${content}`];
  const commands = Array.from({ length: count }, () => inside);
  for (let left = elsewhere; left > 0; left -= SHARE) commands.push([load, "hold", String(SHARE)]);
  const children = commands.map((command) => Bun.spawn(command, { stdin: "pipe", stdout: "pipe" }));
  await Promise.all(children.map((child) => child.stdout.getReader().read()));
  return {
    async [Symbol.asyncDispose]() {
      for (const child of children) await child.stdin.end();
      await Promise.all(children.map((child) => child.exited));
    },
  };
}

async function once({ directory }: Native, without: string): Promise<number> {
  const file = join(directory, "err");
  const stderr = openSync(file, "w");
  const begun = performance.now();
  const child = Bun.spawn([executable, "trace", "--json"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr,
    env: { ...process.env, TRACER_BPF_WITHOUT: without },
  });
  closeSync(stderr);
  while (!readFileSync(file, "utf8").includes("tracing ") && child.exitCode === null)
    await Bun.sleep(1);
  const took = performance.now() - begun;
  child.kill("SIGINT");
  await child.exited;
  return took;
}
