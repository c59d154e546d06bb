/** Many connections to one server, and a port that one protocol's server leaves to another's. */
import { env, isEmulated, runClient, startServer, waitFor } from "./clients.ts";
import { pairs, REUSED } from "./pairs.ts";
import { places } from "./places.ts";
import { portOf, type ServerName } from "./servers.ts";

const MANY = isEmulated ? 300 : 2000;
/** Each of gRPC's clients starts a Python, which takes seconds in a guest. */
const CALLS = 4;

/** So many begin that most are named after others to the same server. */
export async function runCrowds(): Promise<void> {
  const { host } = places.crowd;
  const requests = ["-n", `${MANY}`, "-c", "8"];
  const redis = ["redis-benchmark", "-h", host, "-p", `${portOf("redis")}`, "-k", "0", "-q"];
  await run([...redis, "-t", "ping_mbulk", ...requests]);
  await run(["ab", "-q", ...requests, `http://${host}:${portOf("http")}/`]);
}

/** Ends the one server, starts the other one at its port, calls it, and gives the port back. */
export async function runReused(
  servers: Map<ServerName, Bun.Subprocess>,
  work: string,
): Promise<void> {
  const port = portOf(REUSED.server);
  const change = async (name: ServerName, folder: string) => {
    const before = servers.get(REUSED.server)!;
    before.kill();
    await before.exited;
    servers.set(REUSED.server, startServer(name, port, `${work}/${folder}`));
    await waitFor([port]);
  };
  await change(pairs[REUSED.by].server, "reused");
  for (let n = 0; n < CALLS; n++) await runClient(REUSED.by, "reused", port);
  await change(REUSED.server, "given-back");
}

// --- internal ---

async function run(command: readonly string[]): Promise<void> {
  if (Bun.which(command[0]!, { PATH: env.PATH }) === null)
    return console.error(`@@ spoken-note ${command[0]} is not there`);
  const child = Bun.spawn([...command], { env, stdout: "ignore", stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0)
    console.error(`@@ spoken-note ${command[0]}: ${said.slice(-200)}`);
}
