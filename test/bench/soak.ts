/** Resident memory of the tool: at rest, and while connections come and go as fast as they can. */
import { memoryOf, prepare, run, trace } from "./native.ts";
import { table } from "./table.ts";

const SECONDS = process.env["FULL"] ? 60 : 10;

export async function soak(): Promise<string> {
  await using native = await prepare();
  await using tracer = await trace(native);
  await Bun.sleep(5_000);
  const rest = memoryOf(tracer.pid);
  const { total } = await run(native, "crr", SECONDS * 1000);
  const peak = memoryOf(tracer.pid);
  const rows = [
    ["at rest", rest.now.toFixed(0)],
    ["peak since the start, the guess included", rest.peak.toFixed(0)],
    [`peak after ${SECONDS} s of crr, ${total} connections`, peak.peak.toFixed(0)],
  ];
  return `On this machine, not emulated. FULL=1 makes it 60 s.\n\n${table(["", "RSS, MB"], rows)}`;
}
