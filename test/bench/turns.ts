/** The library in a process of its own: how long it stands on the event loop while connections come. */
import { openTracer } from "tracer-bpf";
import { Actor } from "../kernel/drive/actors.ts";
import { watchGaps } from "../kernel/drive/gap.ts";
import { table } from "./table.ts";

/** Of connections in turn, as in the test of the library. */
const PER_SECOND = 500;
const SECONDS = 10;

export async function turns(): Promise<string> {
  await using tracer = await openTracer();
  const events = tracer.events();
  const reading = (async () => {
    for await (const _ of events);
  })();
  const traffic = new Actor("traffic", PER_SECOND);
  await traffic.hear();
  using gaps = watchGaps();
  await Bun.sleep(SECONDS * 1000);
  await traffic.end();
  tracer.close();
  await reading;
  const [first = 0, second = 0, third = 0] = gaps.cpuMs();
  const rows = [
    [
      "CPU time between two turns, ms: the three most",
      [first, second, third].map((ms) => ms.toFixed(0)).join(", "),
    ],
    ["time between two turns, ms, the longest", gaps.longestMs().toFixed(0)],
  ];
  const what = `${PER_SECOND} connections a second for ${SECONDS} s, from the first one on: the runtime compiles meanwhile.`;
  return `On this machine, not emulated. ${what}\n\n${table(["", ""], rows)}`;
}
