/** One look at 100,000 open connections, and what the tool needs to remember them. Real ones, both ends here. */
import { openTrace } from "../../src/trace/tracer.ts";
import { prepare } from "./native.ts";
import { mean, table } from "./table.ts";

const CONNECTIONS = 100_000;
/** Each holds both ends of its share, and no more fds than a process gets without asking. */
const HOLDERS = 8;
const ROUNDS = 10;

export async function openConnections(): Promise<string> {
  await using native = await prepare();
  const rss = () => process.memoryUsage.rss() / (1 << 20);
  const share = String(CONNECTIONS / 2 / HOLDERS);
  const children = Array.from({ length: HOLDERS }, () =>
    Bun.spawn([native.load, "hold", share], { stdin: "pipe", stdout: "pipe" }),
  );
  await Promise.all(children.map((child) => child.stdout.getReader().read()));
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
    ["start, until they are listed, ms", startMs.toFixed(0)],
    [
      "one look and its poll, ms: mean, least, most",
      `${mean(looks).toFixed(0)}, ${Math.min(...looks).toFixed(0)}, ${Math.max(...looks).toFixed(0)}`,
    ],
    ["lines of these looks (nothing moved)", String(told)],
    [
      "growth of the tool per connection, bytes",
      (((after - before) * (1 << 20)) / begun).toFixed(0),
    ],
    ["lost", losses],
  ];
  return `On this machine, not emulated; target: under 150 ms.\n\n${table(["", ""], rows)}`;
}
