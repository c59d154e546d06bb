/** Loads the trace object: which of the three, and how much of it, this kernel takes. */
import { traceObject, traceObject510, traceObject62 } from "../../embedded.ts";
import { Failure } from "../../errors.ts";
import { possibleCpus } from "../../kernel/cpus.ts";
import { explained, type AttachMode, type Host } from "../../kernel/host.ts";
import { loadObject, type KernelObject, type ObjectSpec } from "../../kernel/object.ts";
import { KernelError } from "../../kernel/shim.ts";
import { Constant, tracePrograms } from "../../record/layout.gen.ts";
import { batchByTool } from "../stream/batches.ts";

/** Values and sizes that are filled into the object before it is loaded. */
export type Made = Pick<ObjectSpec, "constants" | "entries">;

/**
 * `newer`: an object for Linux 5.10 and later, whose programs can be run on request. `loads`: the one whose programs load the
 * kernel's memory by themselves. `batched`: see bpf/lib/batch.h.
 */
export interface WayToLoad {
  newer: boolean;
  loads: boolean;
  batched: boolean;
}

/** The best first; the last is what there was before the others, for a kernel that refuses these. */
export function waysToLoad({ features }: Host, mode: AttachMode): readonly WayToLoad[] {
  const batched = { newer: true, loads: false, batched: true };
  const newer = { newer: true, loads: false, batched: false };
  const older = { newer: false, loads: false, batched: false };
  const loading = (way: WayToLoad): WayToLoad[] =>
    features.has("plain_loads") ? [{ ...way, loads: true }, way] : [way];
  if (!features.has("test_run")) return [older];
  if (mode === "kprobe") return [...loading(batched), older];
  return features.has("preemptible_tracepoints") ? loading(newer) : [...loading(batched), newer];
}

export function firstToLoad(
  ways: readonly WayToLoad[],
  opened: (way: WayToLoad) => KernelObject,
): KernelObject {
  for (const [n, way] of ways.entries()) {
    try {
      return opened(way);
    } catch (error) {
      const refused = error instanceof Failure || error instanceof KernelError;
      if (!refused || n === ways.length - 1) throw error;
    }
  }
  throw new RangeError("no way to load");
}

/** With the groups of programs that the kernel takes. */
export function load(
  host: Host,
  { newer, loads, batched }: WayToLoad,
  needed: readonly string[],
  groups: readonly (readonly string[])[],
  made: Made,
): KernelObject {
  const spec = {
    name: "trace",
    file: loads ? traceObject62 : newer ? traceObject510 : traceObject,
    ...(loads && { loads: host.shim.plainLoads()! }),
    programs: tracePrograms,
    helpers: host.features.helpers(),
    lru: host.features.has("lru_maps"),
    ...(batched ? withBatches(made) : made),
  };
  const always = batched ? [...needed, batchByTool] : needed;
  const opened = (some: readonly (readonly string[])[]) =>
    loadObject(host.shim, { ...spec, load: [...always, ...some.flat()] });
  let tried: { some: readonly (readonly string[])[]; object: KernelObject } | undefined;
  const taken = groupsTaken(groups, (some) => {
    tried?.object[Symbol.dispose]();
    tried = undefined;
    tried = { some, object: opened(some) };
  });
  if (tried?.some === taken) return tried.object;
  tried?.object[Symbol.dispose]();
  try {
    return opened(taken);
  } catch (error) {
    throw explained(error, { step: "program", subject: "trace" });
  }
}

/** The groups that `load` takes: all, or all but one, or each that it takes alone. */
export function groupsTaken<T>(
  groups: readonly T[],
  load: (groups: readonly T[]) => void,
): readonly T[] {
  const takes = (some: readonly T[]): boolean => {
    try {
      load(some);
      return true;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  };
  const most = [groups, ...groups.map((without) => groups.filter((group) => group !== without))];
  return most.find(takes) ?? groups.filter((group) => takes([group]));
}

// --- internal ---

const withBatches = (made: Made) => ({
  constants: new Map(made.constants).set(Constant.CONSTANT_BATCHED, 1n),
  entries: { ...made.entries, batches: possibleCpus() },
  mappable: ["batches"],
});
