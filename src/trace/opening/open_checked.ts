/** Loaded, attached and found to work, by the first way of this host that does. */
import { Failure, UnsupportedError } from "../../errors.ts";
import { withLoopback } from "../../guess/netns.ts";
import type { GuessReport } from "../../guess/report.ts";
import { asFailure } from "../../guess/run.ts";
import type { AttachMode, Host } from "../../kernel/host.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { PerfRings } from "../../kernel/shim.ts";
import type { Event } from "../../record/layout.gen.ts";
import { argsFromProc } from "../process/args.ts";
import { attachTrace, type AttachedTrace } from "./attach.ts";
import { drainer, type Drain } from "../stream/drain.ts";
import { wantsProtocol, type KernelFilter } from "./kernel_filter.ts";
import type { Made } from "./load.ts";
import { notUsed } from "./notes.ts";
import { knownTotals, requireFields, type KnownFlowTotals } from "./offsets.ts";
import { acceptPoints, type KprobePoint } from "./programs.ts";
import { openRings, type OpenRings } from "../stream/rings.ts";
import { selfCheck } from "../tcp/check.ts";
import { checkUdp, NO_UDP, udpPoints, type UdpPoints } from "../udp/points.ts";

export interface ToOpen {
  host: Host;
  report: GuessReport;
  made: Made;
  filter: KernelFilter;
  /** Whether open connections are going to be asked what they have moved. */
  sampling: boolean;
  /** For the user; what is found out is added. */
  notes: string[];
}

/** What a trace holds of the kernel. */
export interface Attached {
  object: KernelObject;
  rings: PerfRings;
}

export interface Checked extends Attached {
  mode: AttachMode;
  /** The tool's own, as the kernel numbers it. */
  tgid: number;
  drain: Drain;
  /** What has been drained so far: others did not wait for the check. */
  early: Event[];
  /** What is known of UDP flows; null: they are not traced. */
  udp: KnownFlowTotals | null;
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

// --- internal ---

type Opened = Attached & AttachedTrace & { ringsNote: string | null };

/** Attaches at each place where accept can be seen until one does see it. */
function openIn(mode: AttachMode, of: ToOpen): Checked {
  const { host, report, filter } = of;
  requireFields(report, mode);
  const udp = wantsProtocol(filter, "udp") ? udpPoints(host, report, mode) : null;
  let last: unknown;
  for (const point of mode === "kprobe" ? acceptPoints : acceptPoints.slice(0, 1)) {
    let opened: Opened | null = null;
    try {
      opened = open(mode, of, point, udp ?? NO_UDP);
      const checked = check(mode, of, opened, udp);
      if (checked !== null) return checked;
      last = new Failure(`the self-check: accept was not seen at ${point.symbol}`);
    } catch (error) {
      last = error;
    }
    if (opened) closeAttached(host, opened);
  }
  throw asFailure(last);
}

function open(mode: AttachMode, of: ToOpen, accept: KprobePoint, udp: UdpPoints): Opened {
  const { host, made, filter, sampling } = of;
  let opened: OpenRings | null = null;
  try {
    const ready = (loaded: KernelObject) => {
      opened = openRings(host.shim, loaded);
    };
    const more = { follow: filter.descendants === true, sampling };
    const attached = attachTrace(host, mode, made, accept, udp.points, ready, more);
    const { rings, note } = opened!;
    return { ...attached, rings, ringsNote: note };
  } catch (error) {
    if (opened !== null) host.shim.ringsClose((opened as OpenRings).rings);
    throw error;
  }
}

/** With connections and datagrams of the tool's own. null: their accept was not seen. */
function check(
  mode: AttachMode,
  of: ToOpen,
  opened: Opened,
  udp: UdpPoints | null,
): Checked | null {
  const { host, report, filter, notes } = of;
  const { object, rings } = opened;
  const drain = drainer(host.shim, object, rings);
  const early: Event[] = [];
  const keep = () => {
    const drained = drain();
    for (const event of drained) early.push(event);
    return drained;
  };
  const totals = knownTotals(report);
  const exact = totals.bytesSent && totals.bytesReceived;
  const { sawAccept, tgid } = withLoopback((place) => selfCheck(place, keep, exact));
  if (!sawAccept) return null;
  const datagrams =
    udp === null
      ? { known: null, notes: [] }
      : checkUdp(host, mode, object, keep, udp.missing ?? opened.udpRefused);
  if (datagrams.known === null && !wantsProtocol(filter, "tcp"))
    throw new UnsupportedError("UDP", { why: datagrams.notes.join("; ") });
  notes.push(...datagrams.notes, ...refusals(opened));
  return { object, rings, mode, tgid, udp: datagrams.known, drain, early };
}

function refusals({ ringsNote, attemptsRefused, argsRefused }: Opened): string[] {
  const notes: string[] = [];
  if (ringsNote !== null) notes.push(ringsNote);
  if (attemptsRefused !== null)
    notes.push(`connects that fail before a SYN is sent are not shown: ${attemptsRefused}`);
  if (argsRefused !== null) notes.push(argsFromProc(argsRefused));
  return notes;
}
