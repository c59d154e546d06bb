/** Loads the trace object: which of the three, and how much of it, this kernel takes. */
import { traceObject, traceObject510, traceObject62 } from "../../embedded.ts";
import { Failure } from "../../errors.ts";
import { possibleCpus } from "../../kernel/cpus.ts";
import { explained, type AttachMode, type Host } from "../../kernel/host.ts";
import { loadObject, type KernelObject, type ObjectSpec } from "../../kernel/object.ts";
import { KernelError, type TracedProgram } from "../../kernel/shim.ts";
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
  /** Functions of the kernel call some programs, instead of a kprobe. */
  fentry: boolean;
  loads: boolean;
  batched: boolean;
}

/** The best first; the last is what there was before the others, for a kernel that refuses these. */
export function waysToLoad({ features }: Host, mode: AttachMode): readonly WayToLoad[] {
  const older = { newer: false, loads: false, batched: false, fentry: false };
  const newer = { ...older, newer: true };
  const batched = { ...newer, batched: true };
  const loading = (way: WayToLoad): WayToLoad[] =>
    features.has("plain_loads") ? [{ ...way, loads: true }, way] : [way];
  const called = (way: WayToLoad): WayToLoad[] =>
    features.has("fentry") ? [{ ...way, fentry: true }, way] : [way];
  if (!features.has("test_run")) return [older];
  if (mode === "kprobe") return [...loading(batched).flatMap(called), older];
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

/** With the groups of programs that the kernel takes. `traced`: what functions are to call where the way has that: all or none. */
export function load(
  host: Host,
  { newer, loads, batched, fentry }: WayToLoad,
  needed: readonly string[],
  groups: readonly (readonly string[])[],
  made: Made,
  traced: readonly TracedProgram[] = [],
): KernelObject {
  const ids = loads ? host.shim.plainLoads()! : undefined;
  const constants = new Map(made.constants)
    .set(Constant.CONSTANT_FENTRY, fentry ? 1n : 0n)
    .set(Constant.CONSTANT_FIRST_SUBFLOW, BigInt(ids?.firstSubflow ?? 0));
  const given = { ...made, constants };
  const spec = {
    name: "trace",
    file: loads ? traceObject62 : newer ? traceObject510 : traceObject,
    ...(ids && { loads: ids }),
    // Older kernels have fewer programs, and take shorter.
    large: newer,
    programs: tracePrograms,
    helpers: host.features.helpers(),
    lru: host.features.has("lru_maps"),
    ...(batched ? withBatches(given) : given),
    ...(fentry && { traced }),
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
  // Kprobes in place of a part that is left out.
  const isLeftOut = ({ program }: TracedProgram) => ![...needed, ...taken.flat()].includes(program);
  if (fentry && traced.some(isLeftOut)) {
    tried?.object[Symbol.dispose]();
    throw new Failure("the kernel does not take a program that a function is to call");
  }
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

const with1 = ({ constants }: Made, constant: number) => new Map(constants).set(constant, 1n);

const withBatches = (made: Made) => ({
  constants: with1(made, Constant.CONSTANT_BATCHED),
  entries: { ...made.entries, batches: possibleCpus() },
  mappable: ["batches"],
});
