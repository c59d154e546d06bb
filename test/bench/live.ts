/** The live view on a terminal (tmux) while a thousand events come each second: the CPU time of each thread, by the scheduler. */
import { connect, createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { executable, memoryOf } from "./native.ts";
import { table } from "./table.ts";

const MINUTES = 3;
const MINUTE_MS = 60_000;
/** Each has two ends, and each end begins and closes. */
const CONNECTIONS = 250;
const EACH_MS = 20;

export async function live(): Promise<string> {
  const server = createServer((socket) => socket.on("data", () => socket.end("answer")));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  // Others may be at work on this machine.
  await using view = await openView("--port", String(port));
  let made = 0;
  const began = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - began) * CONNECTIONS) / 1000;
    for (; made < due; made++) {
      const socket = connect(port, "127.0.0.1", () => socket.write("question"));
      socket.resume();
    }
  }, EACH_MS);
  const minutes: { before: Map<string, number>; after: Map<string, number> }[] = [];
  for (let before = timesOf(view.pid); minutes.length < MINUTES;) {
    await Bun.sleep(MINUTE_MS);
    const after = timesOf(view.pid);
    minutes.push({ before, after });
    before = after;
  }
  clearInterval(timer);
  server.close();
  const share = (of: (times: Map<string, number>) => number) =>
    minutes.map(({ before, after }) => ((of(after) - of(before)) / MINUTE_MS / 1e4).toFixed(2));
  const each = (name: string) => (times: Map<string, number>) => times.get(name) ?? 0;
  const names = [...minutes.at(-1)!.after.keys()].filter((name) => name !== ALL);
  const shares = names.map((name) => ({ name, of: share(each(name)) }));
  const rows = [
    [ALL, ...share(each(ALL))],
    ...shares
      // Threads of a name that has become less have ended.
      .filter(({ of }) => of.every((percent) => Number(percent) >= 0.05))
      .map(({ name, of }) => [`- ${name}`, ...of]),
  ];
  const titles = minutes.map((_, n) => `% of a core, minute ${n + 1}`);
  const { now } = memoryOf(view.pid);
  return (
    `On this machine, not emulated; ${4 * CONNECTIONS} events a second, 80x24; target: under 5 % of a core.\n\n` +
    table(
      ["", ...titles],
      [...rows, ["RSS at the end, MB", ...titles.slice(1).map(() => ""), now.toFixed(0)]],
    )
  );
}

// --- internal ---

interface View extends AsyncDisposable {
  pid: number;
}

async function openView(...flags: string[]): Promise<View> {
  const name = `tracer-bpf-bench-${process.pid}`;
  const tmux = (...args: string[]): string => {
    const { stdout } = Bun.spawnSync(["tmux", "-L", name, "-f", "/dev/null", ...args]);
    return stdout.toString();
  };
  const command = ["exec", executable, "top", ...flags].join(" ");
  tmux("new-session", "-d", "-x", "80", "-y", "24", command);
  const pid = Number(tmux("list-panes", "-F", "#{pane_pid}"));
  while (!tmux("capture-pane", "-p").includes("q quit")) await Bun.sleep(50);
  return {
    pid,
    async [Symbol.asyncDispose]() {
      tmux("kill-server");
    },
  };
}

/** Threads that have ended are in it alone. */
const ALL = "all threads";
/** USER_HZ is 100. */
const NS_PER_TICK = 1e7;

/** Nanoseconds that the threads of each name have run. */
function timesOf(pid: number): Map<string, number> {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  const times = new Map([[ALL, (Number(stat[11]) + Number(stat[12])) * NS_PER_TICK]]);
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const read = (file: string) => readFileSync(`/proc/${pid}/task/${tid}/${file}`, "utf8").trim();
    const name = read("comm");
    times.set(name, (times.get(name) ?? 0) + Number(read("schedstat").split(" ")[0]));
  }
  return times;
}
