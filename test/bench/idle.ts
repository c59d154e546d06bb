/** A trace to which nothing happens: how often it wakes up, and how soon its first line then comes. */
import { connect, createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { memoryOf, prepare, trace } from "./native.ts";
import { table } from "./table.ts";

const SETTLED_MS = 60_000;
const WINDOW_MS = 30_000;
const CONNECTIONS = 50;
/** Between two lone connections: long enough for the tracer to sleep. */
const PAUSE_MS = 3000;

export async function idle(): Promise<string> {
  await using native = await prepare();
  const server = createServer((socket) => socket.end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  // Others may be at work on this machine.
  await using running = await trace(native, "--tcp", "--port", String(port));
  await Bun.sleep(SETTLED_MS);
  const [before, cpu] = [switchesOf(running.pid), ticksOf(running.pid)];
  await Bun.sleep(WINDOW_MS);
  const after = switchesOf(running.pid);
  const memory = memoryOf(running.pid).now.toFixed(0);
  const used = (ticksOf(running.pid) - cpu) * 10;
  const woken = [...after].map(([tid, { name, count }]) => ({
    name,
    count: count - (before.get(tid)?.count ?? 0),
  }));
  const perSecond = (count: number) => (count / (WINDOW_MS / 1000)).toFixed(2);
  const sum = woken.reduce((all, { count }) => all + count, 0);
  const rows = [
    ["wake-ups a second, all threads", perSecond(sum)],
    ...woken
      .filter(({ count }) => count > 0)
      .map(({ name, count }) => [`- thread ${name}`, perSecond(count)]),
    [`CPU in ${WINDOW_MS / 1000} s, ms`, String(used)],
    ["memory at rest (RSS), MB", memory],
  ];
  const times: number[] = [];
  for (let n = 0; n < CONNECTIONS; n++) {
    await Bun.sleep(PAUSE_MS + ((n * 37) % 200));
    times.push(await untilFirstLine(port, running.out));
  }
  server.close();
  times.sort((a, b) => a - b);
  const median = times[times.length >> 1]!.toFixed(0);
  rows.push([
    `first line of a lone connection, ms: median, most of ${CONNECTIONS}`,
    `${median}, ${times.at(-1)!.toFixed(0)}`,
  ]);
  return `On this machine, not emulated; \`--tcp --port\` keeps the traffic of others away.\n\n${table(["", ""], rows)}`;
}

// --- internal ---

async function untilFirstLine(port: number, out: string): Promise<number> {
  const lines = readFileSync(out).length;
  const begun = performance.now();
  const socket = connect(port, "127.0.0.1");
  socket.resume();
  await once(socket, "close");
  while (readFileSync(out).length === lines) await Bun.sleep(1);
  return performance.now() - begun;
}

/** Of each thread: how often it gave up its processor, because it waited or was made to. */
function switchesOf(pid: number): Map<string, { name: string; count: number }> {
  const found = new Map<string, { name: string; count: number }>();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, "latin1");
    const count = Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)![1]);
    found.set(tid, { name: /^Name:\s*(.*)/m.exec(status)![1]!, count });
  }
  return found;
}

/** Of a hundredth of a second each. */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
