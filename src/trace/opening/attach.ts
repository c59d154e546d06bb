/** Attaches the trace object, one way or the other. */
import { explained, type AttachMode, type Host } from "../../kernel/host.ts";
import { Failure } from "../../errors.ts";
import { ENOENT } from "../../kernel/constants.ts";
import { close } from "../../kernel/libc.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { KernelError } from "../../kernel/shim.ts";
import { Offset } from "../../record/layout.gen.ts";
import { firstToLoad, load, waysToLoad, type Made, type WayToLoad } from "./load.ts";
import {
  argsPoints,
  attempts,
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
  const preempted = host.features.has("preemptible_tracepoints");
  const more = follow ? followPoints(mode, preempted) : { kprobes: [], tracepoints: [] };
  const points: TracePoints =
    mode === "kprobe"
      ? { kprobes: [...more.kprobes, ...kprobes, accept], tracepoints: [] }
      : {
          kprobes: [],
          tracepoints: [...more.tracepoints, ...tracepoints(preempted)],
        };
  const needed = programsOf(points);
  if (mode === "tracepoint") needed.push(...runByTool);
  const listing = mode === "kprobe" ? programsOf({ kprobes: listKprobes }) : [listIterator];
  // The listing first: without BTF its iterator is what is refused.
  const tried = mode === "kprobe" ? attempts : { kprobes: [], tracepoints: [] };
  const noting = wantsArgs(made) ? argsPoints(mode, udp) : { kprobes: [], tracepoints: [] };
  const object = firstToLoad(waysToLoad(host, mode), (way) => {
    const sampled = sampling ? samplePrograms(way, mode) : [];
    const groups = [listing, programsOf(udp), programsOf(tried), sampled, programsOf(noting)];
    const asked = groups.filter((group) => group.length > 0);
    const loaded = load(host, way, needed, asked, made);
    try {
      ready(loaded);
      return loaded;
    } catch (error) {
      loaded[Symbol.dispose]();
      throw error;
    }
  });
  try {
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

// --- internal ---

/** Their offsets are known only where command lines are asked for. */
const wantsArgs = ({ constants }: Made): boolean =>
  (constants.get(Offset.OFFSET_MM_ARG_START) ?? 0n) !== 0n;

const programsOf = ({ kprobes: probes, tracepoints: raw }: Partial<TracePoints>): string[] =>
  [...(probes ?? []), ...(raw ?? [])].map(({ program }) => program);

const samplePrograms = ({ newer }: WayToLoad, mode: AttachMode): string[] => [
  ...(mode === "kprobe" ? [sampleKprobe.program] : []),
  ...(newer ? [sampleByTool] : []),
];

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
