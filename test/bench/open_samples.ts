// bun test/bench/open_samples.ts [CONNECTIONS]: one look at so many open connections, natively, as root. The entries are
// synthetic: each points into the memory of the tool's own sockets, which is read like a sock of its own.
import { traceObject510 } from "../../src/embedded.ts";
import { guessOn } from "../../src/guess/run.ts";
import { openPair, sendBytes } from "../../src/guess/loopback.ts";
import { openHost } from "../../src/kernel/host.ts";
import { loadObject } from "../../src/kernel/object.ts";
import {
  EventKind,
  eventSize,
  readEvent,
  tracePrograms,
  writeEvent,
} from "../../src/record/layout.gen.ts";
import { traceConstants } from "../../src/trace/opening/offsets.ts";
import { Samples } from "../../src/trace/tcp/samples.ts";
import { sampleByTool, sampleSource } from "../../src/trace/tcp/sample_source.ts";
import { openTracepointSampler } from "../../src/guess/sampler.ts";

const connections = Number(process.argv[2] ?? 100_000);
/** struct live of bpf/tcp/conns.h: an event and the counters at the beginning. */
const LIVE = eventSize + 32;
const ROUNDS = 11;

const host = openHost("tracepoint");
const constants = traceConstants(guessOn(host), host.features);
using object = loadObject(host.shim, {
  name: "bench",
  file: traceObject510,
  programs: tracePrograms,
  load: [sampleByTool],
  constants,
  entries: { conns: connections },
});
using sampler = openTracepointSampler(host.shim);
let sk = 0n;
using pair = openPair("v4", (client, connect) => (sk = sampler.sockOf(client, connect)));

const live = new Uint8Array(LIVE);
const view = new DataView(live.buffer);
const samples = new Samples(sampleSource(host, object, 0));
const rss = process.memoryUsage.rss();
const keys = new BigUint64Array(1);
for (let i = 0; i < connections; i++) {
  const event = readEvent(view, 0);
  event.sk = keys[0] = sk + BigInt(i) * 8n;
  event.kind = EventKind.EVENT_CONNECT;
  event.cookie = i + 1;
  writeEvent(view, 0, event);
  host.shim.mapUpdate(object.mapFd("conns"), keys, live);
  samples.shown(event);
}
Bun.gc(true);
const perConnection = (process.memoryUsage.rss() - rss) / connections;

const all: number[] = [];
const moved: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  sendBytes(pair.client, 13);
  const start = performance.now();
  moved.push(samples.take().length);
  all.push(performance.now() - start);
}
const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
console.log(
  JSON.stringify({
    connections,
    first_ms: all[0],
    median_ms: median(all),
    worst_ms: Math.max(...all),
    moved,
    tool_bytes_per_connection: Math.round(perConnection),
  }),
);
