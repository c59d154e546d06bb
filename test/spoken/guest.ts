/**
 * Runs real servers and clients under one trace, and prints a line "@@ spoken JSON" per end of a connection: how the trace
 * named its protocol. Runs in a guest as well as on a host, whose network it leaves alone: all that it starts has a network
 * namespace of its own.
 */
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCrowds, runReused } from "./crowds.ts";
import { env, openClients, runClients, startServers } from "./clients.ts";
import { outcomesOf, type TracedLine } from "./outcome.ts";
import { network, placeNames, places } from "./places.ts";
import { made } from "./servers.ts";

/** Connections end, and the trace tells of it, in this time. */
const SETTLE_MS = process.env["VM_KERNEL"] === undefined ? 4000 : 15_000;

if (process.argv[2] === "inside") await inside();
else await outside();

/** Starts the trace between the clients' first requests and the others. */
async function outside(): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "spoken-"));
  const binary = process.env["TRACER_BPF"] ?? join(import.meta.dirname, "../../dist/tracer-bpf");
  const own = Bun.spawn(["unshare", "-n", process.execPath, import.meta.path, "inside", work], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const said = own.stdout.getReader();
  await said.read();
  const events = join(work, "events");
  const trace = Bun.spawn(
    [binary, "trace", "--json", "--events", "close", "--attach", process.env["SPOKEN_MODE"]!],
    { stdin: "ignore", stdout: openSync(events, "w"), stderr: "pipe", env },
  );
  const told = await firstLine(trace.stderr);
  void own.stdin.write("go\n");
  await own.stdin.end();
  await own.exited;
  await Bun.sleep(SETTLE_MS);
  trace.kill("SIGINT");
  await trace.exited;
  console.error(`@@ spoken-note ${(await told.rest).trim().replaceAll("\n", " | ")}`);
  const lines = readFileSync(events, "utf8")
    .split("\n")
    .flatMap((line) => (line === "" ? [] : [JSON.parse(line) as TracedLine]));
  for (const outcome of outcomesOf(lines)) console.log(`@@ spoken ${JSON.stringify(outcome)}`);
  rmSync(work, { recursive: true, force: true });
}

async function inside(): Promise<void> {
  const work = process.argv[3]!;
  const iptables = works("iptables-legacy -t nat -L -n") ? "iptables-legacy" : "iptables";
  for (const command of network(iptables)) run(command);
  // The archive of a guest's files keeps no owner, and of the modes one bit.
  run(`chown -R nobody ${made}/postgres-a ${made}/postgres-b ${made}/postgres-key.pem`);
  run(`chmod 700 ${made}/postgres-a ${made}/postgres-b`);
  run(`chmod 600 ${made}/postgres-key.pem ${made}/host_key`);
  const servers = await startServers(work);
  const askAgain = await openClients("older");
  console.log("open");
  await new Response(Bun.stdin.stream()).text();
  await askAgain();
  for (const name of placeNames) {
    for (const command of places[name].before ?? []) run(command);
    if (name === "crowd") await runCrowds();
    else if (name === "reused") await runReused(servers, work);
    else if (!places[name].older) await runClients(name);
    console.error(`@@ spoken-note done: ${name}`);
  }
  const children = [...servers.values()];
  for (const child of children) child.kill();
  await Promise.race([Promise.all(children.map(({ exited }) => exited)), Bun.sleep(3000)]);
  for (const child of children) child.kill("SIGKILL");
  process.exit(0);
}

function works(command: string): boolean {
  return Bun.spawnSync(command.split(" "), { env, stdout: "ignore", stderr: "ignore" }).success;
}

function run(command: string): void {
  const { success, stderr } = Bun.spawnSync(command.split(" "), { env });
  if (!success) console.error(`@@ spoken-note ${command}: ${stderr.toString().trim()}`);
}

/** Returns when the tracer has said that it traces. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<{ rest: Promise<string> }> {
  let text = "";
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  const more = async (): Promise<boolean> => {
    const { done, value } = await reader.read();
    text += decoder.decode(value, { stream: true });
    return !done;
  };
  while (!/^tracing /m.test(text) && (await more()));
  const rest = async (): Promise<string> => {
    while (await more());
    return text;
  };
  return { rest: rest() };
}
