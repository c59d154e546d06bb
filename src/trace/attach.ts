/** Loads the trace object and attaches it, one way or the other. */
import { traceObject, traceObject510 } from "../embedded.ts";
import { explained, type AttachMode, type Host } from "../kernel/host.ts";
import { Failure } from "../errors.ts";
import { ENOENT } from "../kernel/constants.ts";
import { possibleCpus } from "../kernel/cpus.ts";
import { close } from "../kernel/libc.ts";
import { loadObject, type KernelObject, type ObjectSpec } from "../kernel/object.ts";
import { KernelError } from "../kernel/shim.ts";
import { Offset, tracePrograms } from "../record/layout.gen.ts";
import { preemptsPrograms } from "./offsets.ts";
import {
  argsPoints,
  attempts,
  batchByTool,
  followPoints,
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
export type Made = Pick<ObjectSpec, "constants" | "entries" | "mappable">;

export interface AttachedTrace {
  object: KernelObject;
  /** Why UDP could not be attached; null: it was, as far as it was asked for. */
  udpRefused: string | null;
  /** The same for connects that fail before a SYN; with tracepoints nobody asks for them. */
  attemptsRefused: string | null;
  /** The same for command lines. */
  argsRefused: string | null;
}

/**
 * `udp` is what UDP adds, if anything. The rings must be there before the first event: `ready`. What this kernel refuses
 * of UDP, of failing attempts, of the listing and of the sampling is left out; for anything else this throws a Failure that names the program
 * or the symbol. `follow`: processes are followed too; `sampling`: open connections are going to be asked what they have
 * moved, by programs that take the verifier as long as nearly all others together.
 */
export function attachTrace(
  host: Host,
  mode: AttachMode,
  made: Made,
  accept: KprobePoint,
  udp: TracePoints,
  ready: (object: KernelObject) => void,
  { follow = false, sampling = false }: { follow?: boolean; sampling?: boolean } = {},
): AttachedTrace {
  const more = follow ? followPoints[mode] : { kprobes: [], tracepoints: [] };
  const points: TracePoints =
    mode === "kprobe"
      ? { kprobes: [...more.kprobes, ...kprobes, accept], tracepoints: [] }
      : {
          kprobes: [],
          tracepoints: [...more.tracepoints, ...tracepoints(preemptsPrograms(host.kernel.release))],
        };
  const needed = programsOf(points);
  if (mode === "tracepoint") needed.push(...runByTool);
  const batched = takesBatches(host, mode);
  if (batched) needed.push(batchByTool);
  const listing = mode === "kprobe" ? programsOf({ kprobes: listKprobes }) : [listIterator];
  // The listing first: without BTF its iterator is what is refused.
  const tried = mode === "kprobe" ? attempts : { kprobes: [], tracepoints: [] };
  const noting = wantsArgs(made) ? argsPoints(mode, udp) : { kprobes: [], tracepoints: [] };
  const sampled = sampling ? samplePrograms(host, mode) : [];
  const groups = [listing, programsOf(udp), programsOf(tried), sampled, programsOf(noting)];
  const asked = groups.filter((group) => group.length > 0);
  const object = load(host, needed, asked, batched ? withBatches(made) : made);
  try {
    ready(object);
    const argsRefused = attachGroup(host, object, noting);
    attachAll(host, object, points);
    return {
      object,
      udpRefused: attachGroup(host, object, udp),
      attemptsRefused: attachGroup(host, object, tried),
      argsRefused,
    };
  } catch (error) {
    object[Symbol.dispose]();
    throw error;
  }
}

/** Those of `groups` that `load` takes: all, or all but one, or each that it takes alone. */
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

/** Their offsets are known only where command lines are asked for. */
const wantsArgs = ({ constants }: Made): boolean =>
  (constants.get(Offset.OFFSET_MM_ARG_START) ?? 0n) !== 0n;

const programsOf = ({ kprobes: probes, tracepoints: raw }: Partial<TracePoints>): string[] =>
  [...(probes ?? []), ...(raw ?? [])].map(({ program }) => program);

const samplePrograms = ({ testRun }: Host, mode: AttachMode): string[] => [
  ...(mode === "kprobe" ? [sampleKprobe.program] : []),
  ...(testRun ? [sampleByTool] : []),
];

/** See bpf/batch.h. */
const takesBatches = ({ testRun, kernel }: Host, mode: AttachMode): boolean =>
  testRun && !(mode === "tracepoint" && preemptsPrograms(kernel.release));

const withBatches = (made: Made): Made => ({
  constants: new Map(made.constants).set(Offset.OFFSET_BATCHED, 1n),
  entries: { ...made.entries, batches: possibleCpus() },
  mappable: ["batches"],
});

/** With the groups of programs that the kernel takes. */
function load(
  host: Host,
  needed: readonly string[],
  groups: readonly (readonly string[])[],
  made: Made,
): KernelObject {
  const spec = {
    name: "trace",
    file: host.testRun ? traceObject510 : traceObject,
    programs: tracePrograms,
    helpers: host.helpers,
    ...made,
  };
  const opened = (some: readonly (readonly string[])[]) =>
    loadObject(host.shim, { ...spec, load: [...needed, ...some.flat()] });
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

function attachAll(host: Host, object: KernelObject, points: TracePoints): void {
  for (const point of points.kprobes) attachKprobe(host, object, point);
  for (const { program, name } of points.tracepoints) attachTracepoint(host, object, program, name);
}

/** All of it or nothing: half of the probes would see half of what happens. */
function attachGroup(
  host: Host,
  object: Pick<KernelObject, "loaded" | "progFd" | "own">,
  points: TracePoints,
): string | null {
  if (!programsOf(points).every((program) => object.loaded(program)))
    return "this kernel refused its programs";
  const attached: (Disposable | number)[] = [];
  try {
    const own = (attachment: Disposable | number) => void attached.push(attachment);
    attachAll(host, { ...object, own } as KernelObject, points);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    for (const attachment of attached)
      if (typeof attachment === "number") close(attachment);
      else attachment[Symbol.dispose]();
    return error.message;
  }
  for (const attachment of attached) object.own(attachment);
  return null;
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
