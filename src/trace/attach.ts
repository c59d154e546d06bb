/** Loads the trace object and attaches it, one way or the other. */
import { traceObject } from "../embedded.ts";
import { explained, type AttachMode, type Host } from "../kernel/host.ts";
import { ENOENT } from "../kernel/constants.ts";
import { loadObject, type KernelObject } from "../kernel/object.ts";
import { KernelError } from "../kernel/shim.ts";
import { tracePrograms } from "../record/layout.gen.ts";
import {
  kprobes,
  listIterator,
  listKprobes,
  runByTool,
  tracepoints,
  type KprobePoint,
  type TracePoints,
} from "./programs.ts";

/** `udp` is what UDP adds, if anything. Throws a Failure that names the program or the symbol. The rings must be there before the first event: `ready`. */
export function attachTrace(
  host: Host,
  mode: AttachMode,
  constants: ReadonlyMap<number, bigint>,
  accept: KprobePoint,
  udp: TracePoints,
  ready: (object: KernelObject) => void,
): KernelObject {
  const points = [...kprobes, accept, ...udp.kprobes];
  const raw = [...tracepoints, ...udp.tracepoints];
  const object = load(
    host,
    mode === "kprobe"
      ? [...points, ...listKprobes].map((point) => point.program)
      : [...raw.map((point) => point.program), ...runByTool],
    mode === "kprobe" ? [] : [listIterator],
    constants,
  );
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
  constants: ReadonlyMap<number, bigint>,
): KernelObject {
  const spec = { name: "trace", file: traceObject, programs: tracePrograms, constants };
  try {
    return loadObject(host.shim, { ...spec, load: [...needed, ...optional] });
  } catch (error) {
    if (optional.length > 0 && error instanceof KernelError)
      return load(host, needed, [], constants);
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
