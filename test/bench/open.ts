/** The command with 100,000 open connections, and one look at them. Real ones, both ends here. */
import { openTrace } from "../../src/trace/tracer.ts";
import { memoryOf, prepare, trace as command, type Native } from "./native.ts";
import { mean, table } from "./table.ts";

const CONNECTIONS = 100_000;
/** Each holds both ends of its share, and no more fds than a process gets without asking. */
const HOLDERS = 8;
const ROUNDS = 10;
/** The collector of garbage and the thread that unmaps code have been at work by then. */
const REST_MS = 30_000;

export async function openConnections(): Promise<string> {
  await using native = await prepare();
  const alone = await atRest(native);
  const rss = () => process.memoryUsage.rss() / (1 << 20);
  const share = String(CONNECTIONS / 2 / HOLDERS);
  const children = Array.from({ length: HOLDERS }, () =>
    Bun.spawn([native.load, "hold", share], { stdin: "pipe", stdout: "pipe" }),
  );
  await Promise.all(children.map((child) => child.stdout.getReader().read()));
  const beside = await atRest(native);
  Bun.gc(true);
  const before = rss();
  const started = performance.now();
  await using trace = await openTrace({
    attach: "auto",
    debug: false,
    sampling: true,
    maxConnections: 2 * CONNECTIONS,
  });
  let begun = 0;
  for (let polls = 0; polls < 5; polls++) {
    begun += trace.poll().length;
    await Bun.sleep(10);
  }
  const startMs = performance.now() - started;
  Bun.gc(true);
  const after = rss();
  const looks: number[] = [];
  let told = 0;
  for (let n = 0; n < ROUNDS; n++) {
    const start = performance.now();
    trace.sample();
    told += trace.poll().length;
    looks.push(performance.now() - start);
  }
  const lost = trace.losses().filter(({ count }) => count > 0n);
  const losses = lost.map(({ cause, count }) => `${cause} ${count}`).join(", ") || "none";
  if (begun < CONNECTIONS) throw new Error(`only ${begun} were seen, lost: ${losses}`);
  for (const child of children) {
    await child.stdin.end();
    await child.exited;
  }
  const rows = [
    ["connections open at the start, each end counted", String(begun)],
    ["command: until it traces, ms", beside.ms.toFixed(0)],
    ["command: until it traces, without these, ms", alone.ms.toFixed(0)],
    ["command: RSS 30 s later, MB", beside.now.toFixed(0)],
    ["command: the same without these, MB", alone.now.toFixed(0)],
    [
      "command: growth per end, bytes (of memory that is of no file)",
      (((beside.anonymous - alone.anonymous) * (1 << 20)) / begun).toFixed(0),
    ],
    ["library: start, until they are listed, ms", startMs.toFixed(0)],
    [
      "one look and its poll, ms: mean, least, most",
      `${mean(looks).toFixed(0)}, ${Math.min(...looks).toFixed(0)}, ${Math.max(...looks).toFixed(0)}`,
    ],
    ["lines of these looks (nothing moved)", String(told)],
    [
      "library: growth per end, with what a look remembers, bytes",
      (((after - before) * (1 << 20)) / begun).toFixed(0),
    ],
    ["lost", losses],
  ];
  return `On this machine, not emulated. The library is used from the sources.\n\n${table(["", ""], rows)}`;
}

// --- internal ---

async function atRest(native: Native): Promise<{ ms: number; now: number; anonymous: number }> {
  const begun = performance.now();
  await using running = await command(
    native,
    "--tcp",
    "--max-connections",
    String(2 * CONNECTIONS),
  );
  const ms = performance.now() - begun;
  await Bun.sleep(REST_MS);
  return { ms, ...memoryOf(running.pid) };
}
