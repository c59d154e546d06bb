/** Loads the trace object and attaches it, one way or the other. */
import { traceObject } from "../embedded.ts";
import { explained, type AttachMode, type Host } from "../kernel/host.ts";
import { ENOENT } from "../kernel/constants.ts";
import { loadObject, type KernelObject, type ObjectSpec } from "../kernel/object.ts";
import { KernelError } from "../kernel/shim.ts";
import { tracePrograms } from "../record/layout.gen.ts";
import {
  kprobes,
  listIterator,
  listKprobes,
  runByTool,
  sampleByTool,
  sampleKprobe,
  tracepoints,
  type KprobePoint,
  type TracePoints,
} from "./programs.ts";

/** What is filled into the object before it is loaded. */
export type Made = Pick<ObjectSpec, "constants" | "entries">;

/**
 * `udp` is what UDP adds, if anything. The rings must be there before the first event: `ready`. Throws a Failure that
 * names the program or the symbol.
 */
export function attachTrace(
  host: Host,
  mode: AttachMode,
  made: Made,
  accept: KprobePoint,
  udp: TracePoints,
  ready: (object: KernelObject) => void,
): KernelObject {
  const points = [...kprobes, accept, ...udp.kprobes];
  const raw = [...tracepoints, ...udp.tracepoints];
  const attached = mode === "kprobe" ? [...points, ...listKprobes, sampleKprobe] : raw;
  const needed: string[] = attached.map((point) => point.program);
  if (mode === "tracepoint") needed.push(...runByTool);
  if (host.testRun) needed.push(sampleByTool);
  const object = load(host, needed, mode === "kprobe" ? [] : [listIterator], made);
  try {
    ready(object);
    if (mode === "kprobe") for (const point of points) attachKprobe(host, object, point);
    else for (const { program, name } of raw) attachTracepoint(host, object, program, name);
    return object;
  } catch (error) {
    object[Symbol.dispose]();
    throw error;
  }
}

// --- internal ---

/** With the optional programs if the kernel takes them, else without. */
function load(
  host: Host,
  needed: readonly string[],
  optional: readonly string[],
  made: Made,
): KernelObject {
  const spec = { name: "trace", file: traceObject, programs: tracePrograms, ...made };
  try {
    return loadObject(host.shim, { ...spec, load: [...needed, ...optional] });
  } catch (error) {
    if (optional.length > 0 && error instanceof KernelError) return load(host, needed, [], made);
    throw explained(error, { step: "program", subject: "trace" });
  }
}

function attachKprobe(host: Host, object: KernelObject, point: KprobePoint): void {
  const { program, symbol, retprobe = false, optional = false } = point;
  try {
    object.own(host.kprobes!.attach(object.progFd(program), { symbol, retprobe }));
  } catch (error) {
    if (optional && error instanceof KernelError && error.errno === ENOENT) return;
    throw explained(error, { step: "attach", subject: `kprobe ${symbol}`, symbol });
  }
}

function attachTracepoint(host: Host, object: KernelObject, program: string, name: string): void {
  try {
    object.own(host.shim.rawTracepoint(object.progFd(program), name));
  } catch (error) {
    throw explained(error, { step: "attach", subject: `tracepoint ${name}` });
  }
}
