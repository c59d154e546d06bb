/** Loaded, attached and found to work, by the first way of this host that does. */
import { Failure } from "../../errors.ts";
import { asFailure } from "../../guess/run.ts";
import type { GuessReport } from "../../guess/report.ts";
import type { AttachMode, Host } from "../../kernel/host.ts";
import { findSymbols } from "../../kernel/kallsyms.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { PerfRings } from "../../kernel/shim.ts";
import type { Event } from "../../record/layout.gen.ts";
import type { Ground, Opened, Part, Point } from "../part.ts";
import { drainer, type Drain } from "../stream/drain.ts";
import { openRings, type OpenRings } from "./rings.ts";
import { attachParts, type AttachedParts } from "./attach.ts";
import type { Made } from "./load.ts";
import { notUsed } from "./notes.ts";
import { tellRefusal } from "../refusal.ts";
import { SockMarks } from "../sock_marks.ts";

export interface ToOpen {
  host: Host;
  report: GuessReport;
  /** The parts that the user asked for. */
  parts: readonly Part[];
  made: Made;
  /** Of the ring of each processor, at most; a power of two. */
  ringBytes: number;
  /** For the user; what is found out is added. */
  notes: string[];
}

/** The things of the kernel that a trace holds. */
export interface Attached {
  object: KernelObject;
  rings: PerfRings;
}

export interface Checked extends Attached, Opened {
  into: Drain;
  early: Event[];
  /** Whether the programs load the kernel's memory by themselves. */
  loads: boolean;
  points: ReadonlyMap<Part, readonly Point[]>;
  /** The parts that work, at least with less. */
  working: readonly Part[];
}

/**
 * The way the offsets were guessed first; a kernel that lacks one of the functions may still have the tracepoints. Throws
 * a Failure that says why neither works.
 */
export function openChecked(of: ToOpen): Checked {
  const { host, report, notes } = of;
  const modes = [report.attach, ...host.modes.filter((mode) => mode !== report.attach)];
  for (const [i, mode] of modes.entries()) {
    try {
      return openIn(mode, of);
    } catch (error) {
      if (i === modes.length - 1 || !(error instanceof Failure)) throw error;
      notes.push(notUsed(mode, error));
    }
  }
  throw new RangeError("a host without a way to attach");
}

export function closeAttached(host: Host, { object, rings }: Attached): void {
  object[Symbol.dispose]();
  host.shim.ringsClose(rings);
}

/** Why parts cannot be there with this way to attach, as far as that is known before they are loaded. */
export function missingParts(parts: readonly Part[], ground: Ground): Map<Part, string> {
  // All at once: to find one is to read all of /proc/kallsyms.
  if (ground.mode === "kprobe")
    findSymbols([...new Set(parts.flatMap((part) => part.symbols ?? []))]);
  const missing = new Map<Part, string>();
  for (const part of parts) {
    const why = part.missing?.(ground) ?? null;
    if (why !== null) missing.set(part, why);
  }
  return missing;
}

// --- internal ---

type Ways = Omit<
  Opened,
  "newer" | "fentry" | "object" | "tgid" | "drain" | "early" | "notes" | "marks"
>;

interface Open extends Attached, AttachedParts {
  ringsNote: string | null;
}

/** Attaches by each of the alternatives until the checks see what they must. */
function openIn(mode: AttachMode, of: ToOpen): Checked {
  const { host, report } = of;
  const ways: Ways = { host, report, mode };
  const ground = { ...ways, newer: host.features.has("test_run"), fentry: false };
  const missing = missingParts(of.parts, ground);
  const parts = of.parts.filter((part) => !missing.has(part));
  const alternatives = parts.map((part) => part.alternatives?.(ground).length ?? 0);
  let last: unknown;
  for (let way = 0; way < Math.max(1, ...alternatives); way++) {
    let opened: Open | null = null;
    try {
      opened = open(ways, parts, of, way);
      const checked = check({ ...ways, ...opened }, of, missing);
      if (!("unseen" in checked)) return checked;
      const { unseen, part } = checked;
      last = new Failure(`the self-check: ${unseen} was not seen${placeOf(part, ground, way)}`);
    } catch (error) {
      last = error;
    }
    if (opened) closeAttached(host, opened);
  }
  throw asFailure(last);
}

function placeOf(part: Part, ground: Ground, way: number): string {
  const point = part.alternatives?.(ground)[way];
  return point !== undefined && "kprobe" in point ? ` at ${point.kprobe}` : "";
}

function open(ways: Ways, parts: readonly Part[], of: ToOpen, way: number): Open {
  const { host } = ways;
  let rings: OpenRings | null = null;
  try {
    const attached = attachParts({ ...ways, parts, made: of.made, way }, (loaded) => {
      // Of an object that could not be attached.
      if (rings !== null) host.shim.ringsClose(rings.rings);
      rings = null;
      rings = openRings(host.shim, loaded, of.ringBytes);
    });
    return { ...attached, rings: rings!.rings, ringsNote: rings!.note };
  } catch (error) {
    if (rings !== null) host.shim.ringsClose((rings as OpenRings).rings);
    throw error;
  }
}

/** By traffic of the tool's own. */
function check(
  opened: Ways & Open,
  { host, notes, parts }: ToOpen,
  missing: ReadonlyMap<Part, string>,
): Checked | { unseen: string; part: Part } {
  const { object, rings, ringsNote } = opened;
  const into = drainer(host.shim, object, rings);
  const early: Event[] = [];
  const drain = () => {
    const drained = into();
    for (const event of drained) early.push(event);
    return drained;
  };
  const checked: Checked = {
    ...opened,
    into,
    drain,
    early,
    notes: [],
    tgid: 0,
    working: [],
    marks: new SockMarks(),
  };
  const refused = new Map([...missing, ...opened.refused]);
  const isIdle = ({ completes }: Part) =>
    [...refused.keys()].some(({ name }) => completes?.includes(name));
  for (const part of parts) {
    if (refused.has(part) || isIdle(part) || part.check === undefined) continue;
    const finding = part.check(checked);
    if (finding.unseen !== undefined) return { unseen: finding.unseen, part };
    if (finding.tgid !== undefined) checked.tgid = finding.tgid;
    if (finding.refused !== undefined) refused.set(part, finding.refused);
    checked.notes.push(...(finding.notes ?? []));
  }
  if (ringsNote !== null) checked.notes.push(ringsNote);
  for (const [part, why] of refused) if (!isIdle(part)) tellRefusal(part, why, checked.notes);
  notes.push(...checked.notes);
  checked.notes = notes;
  checked.working = parts.flatMap((part) => {
    if (isIdle(part)) return [];
    if (!refused.has(part)) return part;
    return part.startRefused === undefined ? [] : { ...part, start: part.startRefused };
  });
  return checked;
}
