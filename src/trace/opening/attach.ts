/** Loads the trace object with the programs of the parts, and attaches them. */
import { Failure } from "../../errors.ts";
import { ENOENT, EPERM } from "../../kernel/constants.ts";
import { openCgroupRoot } from "../../kernel/cgroup_root.ts";
import { findSymbol } from "../../kernel/kallsyms.ts";
import { explained, type Host } from "../../kernel/host.ts";
import { close } from "../../kernel/libc.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { KernelError, type TracedProgram } from "../../kernel/shim.ts";
import { SocketHook } from "../../record/layout.gen.ts";
import {
  programsOf,
  rowsOf,
  type Ground,
  type KprobePoint,
  type Part,
  type Point,
  type SocketHookPoint,
  type TracepointPoint,
} from "../part.ts";
import { firstToLoad, load, waysToLoad, type Made, type WayToLoad } from "./load.ts";

export interface AttachedParts {
  object: KernelObject;
  /** Whether the object is the one for Linux 5.10 and later. */
  newer: boolean;
  /** Whether its programs load the kernel's memory by themselves. */
  loads: boolean;
  /** Whether functions of the kernel call some of them, instead of a kprobe. */
  fentry: boolean;
  /** The points that were to be attached. */
  points: ReadonlyMap<Part, readonly Point[]>;
  /** Why a part could not be loaded or attached. */
  refused: ReadonlyMap<Part, string>;
}

/** `way`: which of a part's alternatives is attached. */
export interface ToAttach extends Omit<Ground, "newer" | "fentry"> {
  parts: readonly Part[];
  made: Made;
  way: number;
}

/**
 * `ready` is called between loading and attaching: the rings must be there before the first event. A refusal by this
 * kernel costs an optional part that part alone. For the others this throws a Failure that names the program or the
 * symbol.
 */
export function attachParts(of: ToAttach, ready: (object: KernelObject) => void): AttachedParts {
  const ways = waysToLoad(of.host, of.mode);
  try {
    return attachBy(ways, of, ready);
  } catch (error) {
    if (!(error instanceof NotCalled)) throw error;
    return attachBy(
      ways.filter(({ fentry }) => !fentry),
      of,
      ready,
    );
  }
}

/** Each part's points, with those that it has beside others'. */
export function pointsOf(
  ground: Ground,
  parts: readonly Part[],
  way: number,
): Map<Part, readonly Point[]> {
  const own = new Map<Part, readonly Point[]>();
  const everywhere: Point[] = [];
  for (const part of parts) {
    const alternatives = part.alternatives?.(ground) ?? [];
    const points = part.points(ground);
    own.set(part, [...points, ...alternatives.slice(way, way + 1)]);
    everywhere.push(...points, ...alternatives);
  }
  return new Map(
    [...own].map(([part, points]) => [part, [...points, ...(part.beside?.(everywhere) ?? [])]]),
  );
}

// --- internal ---

/** A function of the kernel takes no program: another one stands in its way, or the kernel lets none in. */
class NotCalled extends Error {}

function attachBy(
  ways: readonly WayToLoad[],
  of: ToAttach,
  ready: (object: KernelObject) => void,
): AttachedParts {
  const { host, parts, made } = of;
  let points = new Map<Part, readonly Point[]>();
  let called: ReadonlySet<string> = new Set();
  let used: WayToLoad;
  const object = firstToLoad(ways, (way) => {
    used = way;
    points = pointsOf({ ...of, ...way }, parts, of.way);
    const groups = parts.map((part) => ({ part, programs: programsOf(points.get(part)!) }));
    const needed = groups.filter(({ part }) => part.without === null);
    const asked = groups.filter(
      (group) => group.part.without !== null && group.programs.length > 0,
    );
    const traced = way.fentry ? tracedOf(host, [...points.values()].flat()) : [];
    const loaded = load(
      host,
      way,
      needed.flatMap((group) => group.programs),
      asked.map((group) => group.programs),
      made,
      traced,
    );
    called = new Set(traced.map(({ program }) => program));
    try {
      ready(loaded);
      return loaded;
    } catch (error) {
      loaded[Symbol.dispose]();
      throw error;
    }
  });
  const { newer, loads, fentry } = used!;
  try {
    const refused = new Map<Part, string>();
    for (const part of parts) {
      const why = attachPart(host, object, part, points.get(part)!, fentry ? called : null);
      if (why !== null) refused.set(part, part.refusal?.(of.mode) ?? why);
    }
    return { object, newer, loads, fentry, points, refused };
  } catch (error) {
    object[Symbol.dispose]();
    throw error;
  }
}

/**
 * All of it or nothing: half of the probes would see half of what happens. Returns why not. `called`: the programs that functions
 * call themselves; null: none is to be.
 */
function attachPart(
  host: Host,
  object: KernelObject,
  part: Part,
  points: readonly Point[],
  called: ReadonlySet<string> | null,
): string | null {
  if (!programsOf(points).every((program) => object.loaded(program)))
    return "this kernel refused its programs";
  const attached: (Disposable | number)[] = [];
  try {
    for (const point of points)
      if (called !== null && "kprobe" in point && point.fentry)
        attached.push(...(called.has(point.program) ? [attachCalled(host, object, point)] : []));
      else if ("kprobe" in point) attached.push(...attachKprobe(host, object, point));
      else if ("tracepoint" in point) attached.push(...attachTracepoint(host, object, point));
      else if ("socketHook" in point) attached.push(attachSocketHook(host, object, point));
  } catch (error) {
    for (const attachment of attached)
      if (typeof attachment === "number") close(attachment);
      else attachment[Symbol.dispose]();
    if (part.without === null || !(error instanceof Failure)) throw error;
    return error.message;
  }
  for (const attachment of attached) object.own(attachment);
  return null;
}

/**
 * Throws a Failure where the kernel does not know one of the functions; an optional one may be missing altogether.
 */
function tracedOf({ shim }: Host, points: readonly Point[]): readonly TracedProgram[] {
  const called = points.flatMap((point) => ("kprobe" in point && point.fentry ? [point] : []));
  const ids = shim.functionIds(called.map(({ kprobe }) => kprobe));
  return called.flatMap(({ program, kprobe, returns = false, optional = false }, n) => {
    const id = ids[n]!;
    if (id !== 0) return { program, id, returns };
    // Of a module, or without a type: a kprobe finds it.
    if (!optional || findSymbol(kprobe) !== null)
      throw new Failure(`the kernel's types do not have the function ${kprobe}`);
    return [];
  });
}

function attachCalled({ shim }: Host, object: KernelObject, { program }: KprobePoint): number {
  try {
    return shim.attachTraced(object.progFd(program));
  } catch (error) {
    if (error instanceof KernelError) throw new NotCalled();
    throw error;
  }
}

function attachKprobe(host: Host, object: KernelObject, point: KprobePoint): Disposable[] {
  const { program, kprobe: symbol, returns: retprobe = false, optional = false, module } = point;
  const target = { symbol, retprobe, ...(module === undefined ? {} : { module }) };
  try {
    return [host.kprobes!.attach(object.progFd(program), target)];
  } catch (error) {
    if (optional && error instanceof KernelError && error.errno === ENOENT) return [];
    throw explained(error, { step: "attach", subject: `kprobe ${symbol}`, symbol });
  }
}

function attachTracepoint(host: Host, object: KernelObject, point: TracepointPoint): number[] {
  const fds: number[] = [];
  try {
    for (const program of rowsOf(point))
      fds.push(host.shim.rawTracepoint(object.progFd(program), point.tracepoint));
    return fds;
  } catch (error) {
    for (const fd of fds) close(fd);
    throw explained(error, { step: "attach", subject: `tracepoint ${point.tracepoint}` });
  }
}

function attachSocketHook(host: Host, object: KernelObject, point: SocketHookPoint): number {
  const { program, socketHook } = point;
  const root = openCgroupRoot(host.shim);
  if (typeof root === "string") throw new Failure(root);
  try {
    return host.shim.cgroupHook(object.progFd(program), root, SocketHook[socketHook]);
  } catch (error) {
    if (error instanceof KernelError && error.errno === EPERM) throw new Failure(ALONE);
    throw explained(error, { step: "attach", subject: `cgroup hook ${socketHook}` });
  } finally {
    close(root);
  }
}

const ALONE =
  "another program is attached to the root control group, and lets none in beside it (bpftool cgroup tree shows it)";
