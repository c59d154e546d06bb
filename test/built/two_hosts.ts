/** Two network namespaces with a link between them and names of their own, as two hosts. Needs root, `ip` and `unshare`. */
import type { Subprocess } from "bun";
import { plainEnvironment } from "../kernel/drive/tracer.ts";

/** A kernel may have no links of this kind. */
export const canBeTwoHosts =
  ["ip", "unshare", "nsenter"].every((name) => Bun.which(name) !== null) &&
  Bun.spawnSync("unshare --net ip link add name near type veth peer name far".split(" "))
    .exitCode === 0;

export interface Host {
  name: string;
  address: string;
  /** Holds the namespaces until its stdin ends. */
  holder: Subprocess<"pipe", "pipe">;
}

export async function twoHosts(names: [string, string]): Promise<[Host, Host]> {
  const [a, b] = await Promise.all(names.map((name, n) => host(name, `10.79.0.${n + 1}`)));
  const far = `type veth peer name eth0 netns ${b!.holder.pid}`;
  succeed(["ip", "link", "add", "eth0", "netns", `${a!.holder.pid}`, ...far.split(" ")]);
  for (const one of [a!, b!]) {
    succeed([...within(one), "ip", "addr", "add", `${one.address}/24`, "dev", "eth0"]);
    succeed([...within(one), "ip", "link", "set", "eth0", "up"]);
  }
  return [a!, b!];
}

/** The beginning of a command line that runs there. */
export const within = ({ holder }: Host): string[] => [
  ...["nsenter", "--net", "--uts", "--target", String(holder.pid), "--"],
];

/** A program of JavaScript there, once it has written its first line. */
export async function runsOn(one: Host, program: string): Promise<Subprocess> {
  const child = Bun.spawn([...within(one), process.execPath, "-e", program], {
    stdin: "ignore",
    stdout: "pipe",
  });
  await child.stdout.getReader().read();
  return child;
}

export function succeed(command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { env: plainEnvironment(), stderr: "pipe" });
  if (exitCode !== 0 || stderr.length > 0)
    throw new Error(`${command.join(" ")} ended with ${exitCode}: ${stderr.toString()}`);
}

// --- internal ---

async function host(name: string, address: string): Promise<Host> {
  const script = 'hostname "$0" && ip link set lo up && echo there && exec cat';
  const holder = Bun.spawn(["unshare", "--net", "--uts", "sh", "-c", script, name], {
    stdin: "pipe",
    stdout: "pipe",
  });
  await holder.stdout.getReader().read();
  return { name, address, holder };
}
