/** The pipeline: guess, load, attach, check; then drain, decode, order. */
import type { EventKind as EventKindText } from "../conn/event.ts";
import type { TracedEvent } from "../conn/identity.ts";
import { Failure, UnsupportedError } from "../errors.ts";
import { guessForbidden } from "../explain.ts";
import { loadOffsets, matchesKernel } from "../guess/file.ts";
import { withLoopback } from "../guess/netns.ts";
import type { GuessReport } from "../guess/report.ts";
import { asFailure, guessOn } from "../guess/run.ts";
import { guessTgid } from "../guess/task.ts";
import { monotonicNs } from "../kernel/clock.ts";
import { capabilities, openHost, type AttachMode, type Host } from "../kernel/host.ts";
import type { KernelObject } from "../kernel/object.ts";
import type { MapFill, PerfRings } from "../kernel/shim.ts";
import {
  EventKind,
  EventView,
  Loss,
  Offset,
  readEvent,
  type Event,
  type TraceMap,
  type TraceProgram,
} from "../record/layout.gen.ts";
import { Accepts } from "./accepts.ts";
import { acceptSources } from "./accept_sources.ts";
import { attachTrace, type AttachedTrace, type Made } from "./attach.ts";
import { Descendants, type Startable } from "./descendants.ts";
import { drainer, type Drain } from "./drain.ts";
import { flowSource } from "./flow_source.ts";
import { DEFAULT_FLOW_TIMEOUTS, Flows, type FlowTimeouts } from "./flows.ts";
import {
  asksForAll,
  fillFilter,
  mayMatch,
  NO_FILTER,
  wantsProtocol,
  withFilter,
  type KernelFilter,
} from "./kernel_filter.ts";
import { argsFromProc, askForArgs, checkedCommands } from "./args.ts";
import { CommandLines } from "./command_lines.ts";
import { commandSource } from "./command_source.ts";
import { cgroupIdAt, kindAt, kindOf, pidAt, toConnEvent, type Known } from "./decode.ts";
import { Groups } from "./groups.ts";
import { groupSource } from "./group_source.ts";
import { listOpen } from "./listing.ts";
import {
  ACCEPT_UNKNOWN,
  countLosses,
  DATAGRAMS_MISSED,
  PROCESS_MISSED,
  type LossCount,
} from "./losses.ts";
import { meanwhile } from "./meanwhile.ts";
import {
  knownTotals,
  missingFields,
  requireFields,
  traceConstants,
  type KnownFlowTotals,
} from "./offsets.ts";
import { timeSource, TimeWindows, type KernelTime } from "./kernel_time.ts";
import { Opens } from "./opens.ts";
import {
  acceptPoints,
  birthPrograms,
  missedIsLost,
  udpPrograms,
  type KprobePoint,
  type TracePoints,
} from "./programs.ts";
import { dropCapabilities } from "./privileges.ts";
import { EventQueue } from "./queue.ts";
import { openRings, type OpenRings } from "./rings.ts";
import { Samples } from "./samples.ts";
import { sampleSource } from "./sample_source.ts";
import { selfCheck } from "./self_check.ts";
import { checkUdp, NO_UDP, udpPoints } from "./udp.ts";
import type { UdpDirections } from "./udp_directions.ts";

export interface TraceOptions {
  /** When a silent UDP flow is over; 30 s, or 120 s where both ends have been heard, unless given. */
  flowTimeouts?: FlowTimeouts;
  attach: AttachMode | "auto";
  offsetsFile?: string;
  /** Offsets that were guessed before; used if they are of the running kernel. */
  offsets?: GuessReport;
  /** Also shows the connections that this process makes once the trace runs. */
  self?: boolean;
  /** Connections, UDP flows and UDP sockets that are followed at once, of each so many; default 65,536. */
  maxConnections?: number;
  /** Whether `sample()` is going to be called. "probe": in the way of kernels before 5.10, for tests. */
  sampling?: boolean | "probe";
  /** What certainly does not match is left out, most of it by the kernel side; see KernelFilter for what is unknown. */
  filter?: KernelFilter;
  /** Whether `kernelTime()` is going to be asked. Measuring takes time itself, so it is done now and then only. */
  timed?: boolean;
  /** Whether each event has the command line of its process. */
  args?: boolean;
  debug: boolean;
}

export interface Trace extends AsyncDisposable {
  /** "tracing TCP and UDP with kprobes on Linux 6.12.1, offsets guessed in 92 ms" */
  readonly description: string;
  /** What the user should know before the first line: numbers that will be missing, a file that was not used. */
  readonly notes: string[];
  /** Drains once. In order of time; what happened during the drain waits for the next one, unless it is the last. */
  poll(last?: boolean): TracedEvent[];
  /** The same, without a list, for those who can do with the records of the kernel. */
  pollInto(sink: EventSink, last: boolean): void;
  /**
   * Blocks the thread, and the event loop with it, for `leastMs`; where nothing waits for the next poll, on until something
   * happens in the kernel or `mostMs` are over. `false`: a signal came.
   */
  rest(leastMs: number, mostMs: number): boolean;
  /**
   * Looks at every open connection and UDP flow, with the option `sampling` only. The next poll gives an "open" with totals
   * for each that has moved something since it was told of last. Returns those that are gone though no close was told of them.
   */
  sample(): TracedEvent[];
  /**
   * Calls `start`, which must start one process: with the filter `descendants` only what that and its descendants do is
   * traced, from its first moment. Throws what `start` throws, and a Failure if the kernel side did not see its start.
   */
  launch<T extends Startable>(start: () => T): T;
  readonly losses: () => LossCount[];
  /** What the programs took in the kernel; null: not measured, or this kernel does not tell. */
  kernelTime(): KernelTime | null;
  /** How full each map in the kernel is. */
  maps(): MapFill[];
  /**
   * Takes from the whole process, for good, the capabilities that the trace does not need any more: whatever else needs
   * them must be open or running by then. Returns what went wrong, for the user.
   */
  dropCapabilities(): string[];
}

/** The record at `p` of `view` as an event. */
export type Describe = (view: DataView, p: number) => TracedEvent;

/** Gets what a poll shows, in order. */
export interface EventSink {
  event(event: TracedEvent): void;
  /** A struct event that is shown as it is; it lies there only for the time of the call. `false`: not taken. */
  record?(view: DataView, p: number, describe: Describe): boolean;
}

/** Throws a Failure that says why this host cannot be traced. */
export async function openTrace(options: TraceOptions): Promise<Trace> {
  const host = openHost(options.attach);
  const notes: string[] = [];
  const { report, how } = await offsetsFor(host, options, notes);
  for (const { field, how: why } of missingFields(report)) {
    notes.push(`${field} is not known (${why}): what depends on it is shown as unknown`);
  }
  const { filter = NO_FILTER } = options;
  const all = { constants: traceConstants(report), entries: mapSizes(options.maxConnections) };
  if (options.args) askForArgs(host, report.attach, all, notes);
  if (filter.descendants === true)
    all.constants.set(Offset.OFFSET_TASK_TGID, BigInt(guessTgid(host)));
  const attached = openFirst(host, report, withFilter(all, filter), filter, notes);
  fillFilter(host.shim, attached.object, filter);
  const listing = listOpen({ host, ...attached });
  notes.push(...listing.notes);
  const early = [...attached.early, ...listing.events];
  const protocols = [wantsProtocol(filter, "tcp") && "TCP", attached.udp !== null && "UDP"];
  const what = protocols.filter(Boolean).join(" and ");
  const description = `tracing ${what} with ${attached.mode}s on Linux ${host.kernel.release}, ${how}`;
  const flowTimeouts = options.flowTimeouts ?? DEFAULT_FLOW_TIMEOUTS;
  const { self = false, sampling = false, timed = false, args = false } = options;
  const { udp: directions } = listing;
  const shown = { self, sampling, filter, timed, args };
  const about = { report, directions, flowTimeouts, description, notes, ...shown };
  return running({ host, ...attached, early, ...about });
}

// --- internal ---

/** The maps that grow with what is open. */
function mapSizes(maxConnections: number | undefined): Record<string, number> {
  if (maxConnections === undefined) return {};
  const maps: TraceMap[] = ["conns", "udp_flows", "udp_socks"];
  return Object.fromEntries(maps.map((map) => [map, maxConnections]));
}

/** How much older than the drain an event must be to be sure that no other CPU still writes an earlier one. */
export const SETTLED_NS = 1_000_000n;

/** By the second poll all that was drained before the first has been applied, and by the third its races. */
const SETTLED_POLLS = 3;

interface Attached {
  object: KernelObject;
  rings: PerfRings;
}

type Opened = Attached & AttachedTrace & { ringsNote: string | null };

/** Attached and found to work. */
interface Checked extends Attached {
  /** The tool's own, as the kernel numbers it. */
  tgid: number;
  drain: Drain;
  /** What has been drained so far: others did not wait for the check. */
  early: Event[];
  /** What is known of UDP flows; null: they are not traced. */
  udp: KnownFlowTotals | null;
}

interface Running extends Checked {
  host: Host;
  mode: AttachMode;
  flowTimeouts: FlowTimeouts;
  directions: UdpDirections;
  report: GuessReport;
  description: string;
  notes: string[];
  self: boolean;
  sampling: boolean | "probe";
  filter: KernelFilter;
  timed: boolean;
  args: boolean;
}

async function offsetsFor(
  host: Host,
  { offsetsFile, offsets }: TraceOptions,
  notes: string[],
): Promise<{ report: GuessReport; how: string }> {
  const from = offsetsFile ?? "a guess made before";
  const saved = offsetsFile === undefined ? offsets : await loadOffsets(offsetsFile);
  if (saved !== undefined) {
    const why = host.modes.includes(saved.attach)
      ? matchesKernel(saved, host.kernel)
      : `it was guessed with ${saved.attach}s`;
    if (why === null) return { report: saved, how: `offsets from ${from}` };
    notes.push(`${from} is not used, the offsets are guessed: ${why}`);
  }
  const forbidden = guessForbidden(capabilities());
  if (forbidden !== null) throw forbidden;
  const report = guessOn(host, (mode, why) => notes.push(notUsed(mode, why)));
  return { report, how: `offsets guessed in ${Math.round(report.ms)} ms` };
}

/** The way the offsets were guessed first; a kernel that lacks one of the functions may still have the tracepoints. */
function openFirst(
  host: Host,
  report: GuessReport,
  made: Made,
  filter: KernelFilter,
  notes: string[],
): Checked & { mode: AttachMode } {
  const modes = [report.attach, ...host.modes.filter((mode) => mode !== report.attach)];
  for (const [i, mode] of modes.entries()) {
    try {
      return { ...openChecked(host, report, made, filter, mode, notes), mode };
    } catch (error) {
      if (i === modes.length - 1 || !(error instanceof Failure)) throw error;
      notes.push(notUsed(mode, error));
    }
  }
  throw new RangeError("a host without a way to attach");
}

const notUsed = (mode: AttachMode, { message, why }: Failure): string =>
  `${mode}s are not used: ${message} (${why ?? "no reason given"})`;

/** Attaches at each place where accept can be seen until one does see it. */
function openChecked(
  host: Host,
  report: GuessReport,
  made: Made,
  filter: KernelFilter,
  mode: AttachMode,
  notes: string[],
): Checked {
  requireFields(report, mode);
  const totals = knownTotals(report);
  const exact = totals.bytesSent && totals.bytesReceived;
  const udp = wantsProtocol(filter, "udp") ? udpPoints(report, mode) : null;
  let last: unknown;
  for (const point of mode === "kprobe" ? acceptPoints : acceptPoints.slice(0, 1)) {
    let attached: Opened | null = null;
    try {
      const follow = filter.descendants === true;
      attached = open(host, made, mode, point, (udp ?? NO_UDP).points, follow);
      const { object, rings } = attached;
      const drain = drainer(host.shim, object, rings);
      const early: Event[] = [];
      const keep = () => {
        const drained = drain();
        for (const event of drained) early.push(event);
        return drained;
      };
      const check = withLoopback((place) => selfCheck(place, keep, exact));
      if (check.sawAccept) {
        const missing = udp?.missing ?? attached.udpRefused;
        const checked = udp
          ? checkUdp(host, mode, object, keep, missing)
          : { known: null, notes: [] };
        if (checked.known === null && !wantsProtocol(filter, "tcp"))
          throw new UnsupportedError("UDP", { why: checked.notes.join("; ") });
        notes.push(...checked.notes);
        if (attached.ringsNote !== null) notes.push(attached.ringsNote);
        if (attached.attemptsRefused !== null)
          notes.push(
            `connects that fail before a SYN is sent are not shown: ${attached.attemptsRefused}`,
          );
        if (attached.argsRefused !== null) notes.push(argsFromProc(attached.argsRefused));
        return { object, rings, tgid: check.tgid, udp: checked.known, drain, early };
      }
      last = new Failure(`the self-check: accept was not seen at ${point.symbol}`);
    } catch (error) {
      last = error;
    }
    if (attached) close(host, attached);
  }
  throw asFailure(last);
}

function open(
  host: Host,
  made: Made,
  mode: AttachMode,
  accept: KprobePoint,
  udp: TracePoints,
  follow: boolean,
): Opened {
  let opened: OpenRings | null = null;
  try {
    const ready = (loaded: KernelObject) => {
      opened = openRings(host.shim, loaded.mapFd("events"));
    };
    const attached = attachTrace(host, mode, made, accept, udp, ready, follow);
    const { rings, note } = opened!;
    return { ...attached, rings, ringsNote: note };
  } catch (error) {
    if (opened !== null) host.shim.ringsClose((opened as OpenRings).rings);
    throw error;
  }
}

function close(host: Host, { object, rings }: Attached): void {
  object[Symbol.dispose]();
  host.shim.ringsClose(rings);
}

function running(of: Running): Trace {
  const { host, mode, object, rings, tgid, udp, drain, report, description, notes } = of;
  const queue = new EventQueue();
  for (const event of of.early) queue.push(event);
  /** What takes long keeps the rings from filling up; it waits for the next poll, as it would in the rings. */
  const between = meanwhile(() => drain.into(queue));
  const commands = of.args ? commandLines(of, between) : null;
  const groups = new Groups(groupSource(tgid, between));
  const known: Known = {
    tcp: knownTotals(report),
    udp: udp ?? { bytes: false, packets: false },
    groupOf: (pid, event) => groups.of(pid, event),
    ...(commands === null ? {} : { argsOf: (pid, event) => commands.of(pid, event) }),
  };
  const flowMaps = flowSource(host.shim, object, mode, between);
  const flows = udp && new Flows(flowMaps, of.flowTimeouts, of.directions);
  const opens = new Opens();
  const samples = of.sampling
    ? new Samples(sampleSource(host, object, tgid, of.sampling === "probe", between))
    : null;
  const accepting = acceptSources(host.shim, object, tgid, between);
  const accepts = new Accepts(accepting);
  const time = of.timed ? new TimeWindows(timeSource(host.shim, object)) : null;
  const value = new BigUint64Array(1);
  const lossesFd = object.mapFd("losses");
  let polls = 0;
  let closed = false;
  const matches = mayMatch(of.filter);
  const unfiltered = asksForAll(of.filter);
  const descendants =
    of.filter.descendants === true ? new Descendants(host.shim, object, tgid) : null;
  const began = monotonicNs();
  /** What the tool does itself; with `self`, only what it did to get ready. */
  const isOwn = (event: Event) =>
    event.conn.tup.pid === tgid &&
    !(of.self && (event.conn.conn_stats.timestamp >= began || event.kind === EventKind.EVENT_OPEN));

  const missed = (): LossCount => {
    const loaded = missedIsLost[mode].filter((program) => object.loaded(program));
    const misses = loaded.map((program) => host.shim.progMisses(object.progFd(program)));
    // A miss of one of them is the other's work, so no more than the fewest were missed by all.
    const count = BigInt(Math.min(...misses));
    return { cause: "accept possibly missed, its probe was busy", count };
  };

  const missedBy = (programs: readonly TraceProgram[], cause: string): LossCount => {
    const loaded = programs.filter((program) => object.loaded(program));
    const misses = loaded.map((program) => host.shim.progMisses(object.progFd(program)));
    return { cause, count: BigInt(misses.reduce((sum, n) => sum + n, 0)) };
  };

  const counted = (cause: number): bigint => {
    host.shim.mapLookup(lossesFd, Uint32Array.of(cause), value);
    return value[0]!;
  };
  /** Before 5.1 a program is not told that the ring was full; then the rings alone know. */
  const ringLoss = (): bigint => {
    const told = counted(Loss.LOSS_EVENT_RING_FULL);
    const untold = BigInt(drain.lost()) - told - counted(Loss.LOSS_EVENT_SPILLED);
    return untold > 0n ? told + untold : told;
  };

  const showAny = (event: Event, show: Show): void => {
    const news = opens.apply(event);
    if (news === null) return samples?.renewed(event);
    const ofFlow = flows?.event(news) ?? null;
    if (ofFlow === null) showOne(news, accepts, show);
    else for (const one of ofFlow) show(one.event, one.kind);
  };
  /** Nearly all events of a busy host: nobody but its own end has to know of it. */
  const isPlain = (view: DataView, p: number): boolean =>
    samples === null && isOfTcp(kindAt(view, p)) && !opens.concern(view, p);
  /** Is shown as it is, brings no accept along, and has nothing that /proc must be asked for. */
  const isDirect = (view: DataView, p: number): boolean =>
    unfiltered &&
    kindAt(view, p) !== EventKind.EVENT_PASSIVE &&
    !accepts.concern(view, p) &&
    pidAt(view, p) !== tgid &&
    commands === null &&
    groups.tells(cgroupIdAt(view, p));
  const describe: Describe = (view, p) => {
    const event = new EventView(view, p);
    return toConnEvent(event, kindOf(event)!, known);
  };

  const pollInto = (to: EventSink, last: boolean): void => {
    const sink = time?.counting(monotonicNs()) === true ? time.counted(to) : to;
    groups.renew();
    commands?.renew();
    drain.into(queue);
    const show: Show = (event, kind) => {
      const accept = kind === "close" ? descendants?.acceptOf(event) : null;
      if (accept) show(accept, "accept");
      const followed = descendants?.own(event, kind) !== false;
      const asked = followed && !isOwn(event) && matches(event);
      // Of a connection that was accepted by one process the close may be another's.
      if (!asked && kind !== "close") return;
      if (samples?.shown(event) !== false && asked) sink.event(toConnEvent(event, kind, known));
    };
    queue.take(last ? Infinity : Number(monotonicNs() - SETTLED_NS), (view, p) => {
      if (!isPlain(view, p)) return showAny(readEvent(view, p), show);
      if (sink.record !== undefined && isDirect(view, p) && sink.record(view, p, describe)) return;
      showOne(new EventView(view, p), accepts, show);
    });
    if (++polls === SETTLED_POLLS) opens.settle();
    for (const event of accepts.poll()) show(event, "accept");
    for (const one of flows?.tick(monotonicNs()) ?? []) show(one.event, one.kind);
    time?.polled(monotonicNs());
  };

  return {
    description,
    notes,
    pollInto,
    poll(last = false) {
      const events: TracedEvent[] = [];
      pollInto({ event: (event) => void events.push(event) }, last);
      return events;
    },
    rest(leastMs, mostMs) {
      const waits = !queue.empty || accepts.waiting || polls <= SETTLED_POLLS;
      return host.shim.ringsWait(rings, leastMs, waits ? leastMs : mostMs);
    },
    sample() {
      if (samples === null) throw new RangeError("the trace was opened without `sampling`");
      for (const event of samples.take()) queue.push(event);
      for (const event of flows?.sample(monotonicNs()) ?? []) queue.push(event);
      return samples.takeLost().map((event) => toConnEvent(event, "open", known));
    },
    losses: () =>
      countLosses(
        (cause) => (cause === Loss.LOSS_EVENT_RING_FULL ? ringLoss() : counted(cause)),
        [
          missed(),
          missedBy(udpPrograms, DATAGRAMS_MISSED),
          missedBy(birthPrograms, PROCESS_MISSED),
          { cause: ACCEPT_UNKNOWN, count: accepts.lost },
        ],
      ),
    kernelTime: () => time?.total(monotonicNs()) ?? null,
    maps: () => object.hashMaps(),
    launch(start) {
      if (descendants === null) throw new RangeError("the trace was opened without `descendants`");
      return descendants.launch(start);
    },
    dropCapabilities: () => {
      // Measuring is asked for with CAP_SYS_ADMIN, so the first window begins before it is gone.
      time?.polled(monotonicNs());
      return dropCapabilities(host, mode, () => {
        counted(Loss.LOSS_EVENT_RING_FULL);
        if (mode === "tracepoint") accepting.ask(0n, 0);
      });
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      time?.[Symbol.dispose]();
      close(host, { object, rings });
    },
  };
}

function commandLines(of: Running, between: () => void): CommandLines {
  const { host, object, tgid, early, notes } = of;
  const source = commandSource(host.shim, object, tgid, between);
  return new CommandLines(checkedCommands(source, early, tgid, notes));
}

type Show = (event: Event, kind: EventKindText) => void;

/** What one record of TCP comes to: a handshake waits for its accept, a close may bring one along. */
function showOne(event: Event, accepts: Accepts, show: Show): void {
  if (event.kind === EventKind.EVENT_PASSIVE) return accepts.established(event);
  const kind = kindOf(event);
  if (kind === null) return;
  if (kind === "close") {
    const accept = accepts.closed(event);
    if (accept === "unaccepted") return;
    if (accept !== null) show(accept, "accept");
  }
  show(event, kind);
}

const isOfTcp = (kind: number): boolean =>
  kind === EventKind.EVENT_CONNECT ||
  kind === EventKind.EVENT_ACCEPT ||
  kind === EventKind.EVENT_PASSIVE ||
  kind === EventKind.EVENT_CLOSE;
