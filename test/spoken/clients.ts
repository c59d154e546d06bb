/** Starts servers and clients, and waits until they are ready or done. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pairs, type PairName } from "./pairs.ts";
import { places, type PlaceName } from "./places.ts";
import { portOf, serverNames, servers, type ServerName } from "./servers.ts";

const { BUN_BE_BUN: _, ...inherited } = process.env;
export const env = { ...inherited, PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

export const isEmulated = process.env["VM_KERNEL"] !== undefined;
const PATIENCE_S = isEmulated ? 120 : 12;
/** A guest on a busy host stands still for a while now and then. */
const START_MS = isEmulated ? 120_000 : 20_000;
const AT_ONCE = 4;
const BETWEEN_LINES_MS = isEmulated ? 600 : 200;

/** Starts all servers, and returns once each listens. */
export async function startServers(work: string): Promise<Map<ServerName, Bun.Subprocess>> {
  const started = new Map<ServerName, Bun.Subprocess>();
  for (const name of serverNames)
    if (servers[name].command !== null)
      started.set(name, startServer(name, portOf(name), join(work, name)));
  const missing = await waitFor(serverNames.map((name) => portOf(name)));
  for (const name of serverNames.filter((one) => missing.has(portOf(one)))) {
    const log = join(work, name, "log");
    console.error(`@@ spoken-note the server ${name} did not start: ${lastOf(log)}`);
  }
  return started;
}

export function startServer(name: ServerName, port: number, folder: string): Bun.Subprocess {
  const { command, asNobody } = servers[name];
  mkdirSync(folder, { recursive: true, mode: 0o777 });
  const words = command!(port, folder);
  const log = Bun.file(join(folder, "log"));
  const own = asNobody
    ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...words]
    : [...words];
  return Bun.spawn(own, { stdin: "ignore", stdout: log, stderr: log, env, cwd: "/" });
}

/** The clients of all pairs, some at a time. */
export async function runClients(place: PlaceName): Promise<void> {
  const waiting = (Object.keys(pairs) as PairName[]).filter((name) => runsAt(name, place));
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
      await runClient(name, place);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** `port`: of another server than the pair's own. */
export async function runClient(name: PairName, place: PlaceName, port?: number): Promise<void> {
  const child = clientOf(name, place, port);
  for (const line of linesOf(name)) {
    void child.stdin.write(line);
    await child.stdin.flush();
    await Bun.sleep(BETWEEN_LINES_MS);
  }
  await endOf(name, place, child);
}

/** Clients that have asked once; the function that is returned has them ask again and end. */
export async function openClients(place: PlaceName): Promise<() => Promise<void>> {
  const open = (Object.keys(pairs) as PairName[])
    .filter((name) => pairs[name].asksAgain && runsAt(name, place))
    .map((name) => {
      const [first, ...rest] = linesOf(name);
      const child = clientOf(name, place);
      void child.stdin.write(first!);
      void child.stdin.flush();
      return { name, child, rest: rest.length > 0 ? rest : [first!] };
    });
  // All of them have been answered by then.
  await Bun.sleep(isEmulated ? 30_000 : 3000);
  return async () => {
    for (const { child, rest } of open) for (const line of rest) void child.stdin.write(line);
    await Promise.all(
      open.map(async ({ name, child }) => {
        await child.stdin.flush();
        await Bun.sleep(isEmulated ? 8000 : 1000);
        await endOf(name, place, child);
      }),
    );
  };
}

/** Returns those at which nobody listens in time. To connect would be a connection more. */
export async function waitFor(ports: readonly number[]): Promise<Set<number>> {
  const until = performance.now() + START_MS;
  for (;;) {
    const listening = new Set([...listeningIn("tcp"), ...listeningIn("tcp6")]);
    const open = [...listeningIn("udp", "07"), ...listeningIn("udp6", "07")];
    const missing = ports.filter((port) => !listening.has(port) && !open.includes(port));
    if (missing.length === 0 || performance.now() > until) return new Set(missing);
    await Bun.sleep(300);
  }
}

// --- internal ---

const runsAt = (name: PairName, place: PlaceName): boolean =>
  !(places[place].older && !pairs[name].asksAgain);

const linesOf = (name: PairName): string[] =>
  (pairs[name].input ?? "").split(/(?<=\n)/).filter((line) => line !== "");

const clientOf = (name: PairName, place: PlaceName, port = portOf(pairs[name].server)) =>
  Bun.spawn([...pairs[name].client(places[place].host, port)], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "pipe",
    env,
    cwd: "/",
  });

async function endOf(
  name: PairName,
  place: PlaceName,
  child: ReturnType<typeof clientOf>,
): Promise<void> {
  await child.stdin.end();
  const { seconds = PATIENCE_S } = pairs[name];
  const factor = places[place].patience ?? 1;
  const timer = setTimeout(() => child.kill("SIGKILL"), seconds * factor * 1000);
  const said = await new Response(child.stderr).text();
  await child.exited;
  clearTimeout(timer);
  if (child.exitCode !== 0 && pairs[name].seconds === undefined)
    console.error(`@@ spoken-note ${name} at ${place}: ${said.trim().slice(-200)}`);
}

/** Ports by /proc/self/net, in the state. */
const listeningIn = (table: string, state = "0A"): number[] =>
  readFileSync(`/proc/self/net/${table}`, "latin1")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words[3] === state)
    .map((words) => parseInt(words[1]!.split(":")[1]!, 16));

function lastOf(path: string): string {
  try {
    return readFileSync(path, "latin1").trim().slice(-300);
  } catch {
    return "it wrote nothing";
  }
}
