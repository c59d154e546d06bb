/**
 * The contract of a part: one thing that is traced, or one thing that is known of what is traced. A part brings all that
 * concerns it, and no other file but the list in parts.ts names it. To add a part: CONTRIBUTING.md, "To add a part".
 */
import type { PortRange } from "../conn/direction.ts";
import type { EventKind } from "../conn/event.ts";
import type { TracedEvent } from "../conn/identity.ts";
import type { GuessReport } from "../guess/report.ts";
import type { Capabilities } from "../kernel/capability.ts";
import type { AttachMode, Host } from "../kernel/host.ts";
import type { KernelObject } from "../kernel/object.ts";
import type { Row } from "../kernel/proc_net.ts";
import type { Table } from "../kernel/sockstat.ts";
import type { Event, EventView, SocketHook, TraceProgram } from "../record/layout.gen.ts";
import type { Held } from "./held.ts";
import type { LossCount } from "./health/losses.ts";
import type { TraceOptions } from "./options.ts";
import type { SockMarks } from "./sock_marks.ts";

export interface Part {
  readonly name: string;
  /** The parts that it completes, by name: where one of them is refused, this one is not there, and nothing is told of it. */
  readonly completes?: readonly string[];
  /** Whether the user asked for it; if left out, the part is always there. */
  readonly asked?: boolean;
  /** The rest of the sentence is the reason: "UDP is not traced". `null`: without this part there is no trace. */
  readonly without: string | null;
  /** Why a kernel can refuse its programs, where that is known. */
  refusal?(mode: AttachMode): string | null;
  /** The user asked for this part alone: when it is refused, the trace ends with an UnsupportedError. */
  readonly alone?: boolean;
  /** How the description of the trace names it, if it is a protocol. */
  readonly protocol?: string;
  /** How many entries its maps have, if not as many as bpf/ says; also when nobody asks for the part. */
  readonly mapSizes?: Readonly<Record<string, number>>;
  /** Called once: returns the values that are patched into the object, or the reason why this host cannot. May throw a Failure. */
  prepare?(host: Host, report: GuessReport): Prepared | string;
  /** Why not with this way to attach; `null`: nothing is known to be missing. */
  missing?(on: Ground): string | null;
  /** Fields of the guess on which its numbers depend: the user is told of each that is not known. */
  readonly fields?: readonly string[];
  /** Every kernel function among which `missing` and `points` choose; they are looked up together. */
  readonly symbols?: readonly string[];
  /**
   * Its attach points, in the order in which they are attached. They are loaded and attached all or nothing: half of the
   * probes would see half of what happens.
   */
  points(on: Ground): readonly Point[];
  /** One of these is attached besides: the first one with which `check` sees all it must. */
  alternatives?(on: Ground): readonly Point[];
  /** More points, at places where other parts have theirs. */
  beside?(others: readonly Point[]): readonly Point[];
  /** How the misses of its points are told: see Point.missesAreLost. */
  readonly misses?: Misses;
  /** Makes traffic of the tool's own, and compares what comes back. */
  check?(on: Opened): Finding;
  /** Once the trace runs: the sockets that processes hold, in all network namespaces. */
  walk?(on: Opened): Pieces<Held | null> | null;
  /** After the walk, if some part walks: how it takes stock of what is there already, in each network namespace. */
  takesStock?(on: Opened, held: Held | null): Stocktaking;
  /** From here on it works. May throw a Failure. */
  start?(on: Opened, between: () => void): Working;
  /** The same when it was refused: it works with less, and `without` says what that is. Left out: it is not there. */
  startRefused?(on: Opened, between: () => void): Working;
}

/** Makes the part for one trace. */
export type PartOf = (options: TraceOptions) => Part;

export interface Prepared {
  constants?: ReadonlyMap<number, bigint>;
  mapSizes?: Readonly<Record<string, number>>;
}

/** The facts by which a part chooses its points. */
export interface Ground {
  host: Host;
  report: GuessReport;
  mode: AttachMode;
  /** The object for Linux 5.10 and later is loaded, whose programs can be run on request. */
  newer: boolean;
  /** Functions of the kernel call the programs of the points that say so (`fentry`). */
  fentry: boolean;
}

export type Point = KprobePoint | TracepointPoint | SocketHookPoint | HeldPoint;

interface AnyPoint {
  readonly program: TraceProgram;
  /** Events that the program misses while it is busy are lost, unless backup programs do them; see Part.misses. */
  readonly missesAreLost?: boolean;
}

export interface KprobePoint extends AnyPoint {
  readonly kprobe: string;
  /** The function is in this module, which may come, go and come again while the trace runs. */
  readonly module?: string;
  /** The place is inside a system call of the process that owns the socket. */
  readonly ofOwner?: true;
  readonly returns?: true;
  /** The function itself may call the program, where the kernel has that: see argument() in bpf/lib/kernel.h. */
  readonly fentry?: true;
  /** A kernel without the function (IPv6 is missing) is traced all the same. */
  readonly optional?: boolean;
}

export interface TracepointPoint extends AnyPoint {
  readonly tracepoint: string;
  /** Some of its events are inside a system call of the process that owns the socket: with these the program meets the process. */
  readonly ofOwner?: TraceProgram;
  /** Programs that do the work while the main one is busy: see bpf/lib/backup.h. */
  readonly cover?: Cover;
}

export interface Cover {
  /** Attached before the main program: each notes the event as pending. */
  readonly pending: readonly TraceProgram[];
  /** Attached behind it: each does the work if the note is still there. */
  readonly backups: readonly TraceProgram[];
}

/** Attached to the root control group, so that it sees the sockets of the whole host; it decides nothing. */
export interface SocketHookPoint extends AnyPoint {
  readonly socketHook: keyof typeof SocketHook;
}

/** Loaded only: the part runs the program on request, or attaches it for a while. */
export interface HeldPoint extends AnyPoint {
  readonly held: true;
  /** The function on which it is going to be attached. */
  readonly symbol?: string;
}

export interface Misses {
  cause(mode: AttachMode): string;
  /** See LossCount. */
  readonly unit?: "datagram";
  /** Index in the map `losses`: what its backup programs have done. */
  readonly rescued?: number;
}

export interface Finding {
  /** Something that happened and was not seen: the next alternative is tried. */
  unseen?: string;
  /** For the user. */
  notes?: readonly string[];
  /** Why the part is not used after all. */
  refused?: string;
  /** The tool's own process id, as the kernel numbers it. */
  tgid?: number;
}

/** A network namespace of the host. */
export interface Place {
  netns: number;
  ephemeral: PortRange | undefined;
  /** The tables that have sockets which `Part.walk` did not find. */
  tables: ReadonlySet<Table>;
  /** The rows of a table, read from it or known from the walk. */
  rows(table: Table, afterPage: () => void): Row[];
  /** The rows that the walk knows, and all listeners. */
  heldOrListening(table: Table): Row[];
}

/** Long work in pieces, between which the trace tells what happens meanwhile. */
export type Pieces<T> = Generator<void, T>;

export interface Stocktaking extends Partial<Disposable> {
  /** Called within each network namespace that has sockets; `keep` empties the rings and must be called while much is read. */
  visit(place: Place, keep: () => void): void;
  /** Events that it has found itself; not in order. */
  readonly found?: readonly Event[];
  /** The events that had to wait for it, with what is known now. `between` is called all the time, and may add events. */
  describe?(events: readonly Event[], between: () => void): Pieces<Event[]> | Event[];
}

/** An attached trace. */
export interface Opened extends Ground {
  object: KernelObject;
  /** The tool's own process id, as the kernel numbers it; 0 until the first check has found it. */
  tgid: number;
  /** Empties the rings; whatever is drained is kept for the trace too. */
  drain(): Event[];
  /** All events that have been drained so far. */
  early: readonly Event[];
  /** For the user; what a part finds out is added. */
  notes: string[];
  /** Parts that know more of some socks than their records hold keep it in maps of this. */
  marks: SockMarks;
}

/** Gets each event once all that came before it has been applied. */
export type Show = (event: Event, kind: EventKind) => void;

/** Shows the record at `p` as it is; false: it is of an unusual kind, and nothing was shown. */
export type ShowRecord = (view: DataView, p: number) => boolean;

/**
 * A part at work. Every member is optional; records and events come in the order of time, but for those that wait for the
 * stocktaking: they come behind it.
 */
export interface Working {
  /** The records that it can tell of only when all parts have taken stock. `true`: all of its kinds, and it has no ticks before. */
  readonly needsStock?: true | ((view: DataView, p: number) => boolean);
  /** All parts have taken stock: the next records are those that were found. */
  stockTaken?(): void;
  /** Before the events of a poll are asked for. */
  renew?(nowNs: bigint): void;
  /**
   * Whether `revise` could do anything with the record at `p` but return it. Must be there with `revise`. Of a part that has
   * `shown` too: whether the record must come by it.
   */
  revises?(view: DataView, p: number): boolean;
  /** Whether `drained` has anything to do in this poll; left out: always. */
  looks?(): boolean;
  /** Of each record that was drained, before those of its poll are applied; of a young one again at the next poll. */
  drained?(view: DataView, p: number): void;
  /** After all of these. */
  drainedAll?(): void;
  /** Capabilities that it needs as long as it works, besides those of every trace. */
  readonly capabilities?: Capabilities;
  /** A record as it is to be applied; `null`: it has been told already. */
  revise?(event: Event): Event | null;
  /** A record for which some part's `revise` returned null. */
  repeated?(event: Event): void;
  /** The kinds of record (enum event_kind) that this part tells of; other parts may too. */
  readonly kinds?: readonly number[];
  /** Tells of one of these records: shows events, or keeps the record for later. */
  tell?(event: Event, show: Show): void;
  /** The members of `kinds` of which a view is enough for `tell`, and that `tellRecord` takes, if there is one. */
  readonly plainKinds?: readonly number[];
  /** The same as `tell` for what `record` can show; false for the rest, which is still to be told. */
  tellRecord?(
    view: DataView,
    p: number,
    record: ShowRecord,
    show: Show,
    isDirect: ShowRecord,
  ): boolean;
  /** After the records of a poll; `last`: there is no further one. */
  tick?(nowNs: bigint, show: Show, last: boolean): void;
  /** The trace ends: one more poll comes, which has what this makes the kernel side tell. */
  ending?(): void;
  /** Until the next tick has something to do; 0: at once. */
  dueMs?(nowNs: bigint): number;
  /** An earlier event that is to be chosen before this one. */
  brings?(event: Event, kind: EventKind): readonly [Event, EventKind] | null;
  /** false: the event is not asked for. */
  wants?(event: Event, kind: EventKind): boolean;
  /** Of each event that is about to be shown, and of each close; false: it has been told already. */
  shown?(event: Event): boolean;
  /** Adds members to an event that is shown: what follows from its owner, its kind and its flags alone. */
  enrich?(shown: TracedEvent, event: EventView, kind: EventKind): void;
  /** After all of these: adds what depends on other members, as on times. */
  complete?(shown: TracedEvent, event: EventView, kind: EventKind): void;
  /**
   * Whether the record at `p` already holds all that `enrich` and `complete` would add; it may be written there now. Left
   * out: it never does.
   */
  holds?(view: DataView, p: number): boolean;
  /** The record at `p` has been shown as it is, without `enrich` and `complete`. */
  passed?(view: DataView, p: number): void;
  /**
   * Writes into a struct line_conditions on which records of TCP no member above would do anything, but for `holds`, which would
   * be true. Such records are shown without a call of them. They differ only in what no kept text depends on
   * (src/output/straight/slots.ts) from one that was shown as it is within the same second. `false`: there are none now. Left out by
   * a part with any of `revises`, `enrich`, `complete`, `holds` and `passed`: there never are.
   */
  conditions?(to: DataView): boolean;
  /** Events for the open connections that have moved something since they were told of last; `all`: for every one. */
  sample?(nowNs: bigint, all: boolean): Sampled;
  /** See Trace.nameOf. */
  nameOf?(netns: number, address: string): string | null;
  /** Numbers of the whole trace, told when it ends. */
  counts?(): readonly PartCount[];
  /** Losses that it counts itself. */
  losses?(): readonly LossCount[];
  /** Starts the process whose descendants are traced: see Trace.launch. */
  launch?<T extends Startable>(start: () => T): T;
  /** Does once what needs capabilities all the time. */
  rehearse?(): void;
}

export interface PartCount {
  /** Of which things, as "resets sent". */
  what: string;
  count: bigint;
}

export interface Sampled {
  moved: readonly Event[];
  /** Gone, though no close was told of them. */
  gone: readonly Event[];
}

/** The members of a `Bun.spawn` result that are needed. */
export interface Startable {
  pid: number;
  kill(signal: "SIGKILL"): void;
}

/** The programs of these points, each once. */
export const programsOf = (points: readonly Point[]): readonly TraceProgram[] => [
  ...new Set(points.flatMap(rowsOf)),
];

/** A point's programs in the order in which they are attached. */
export function rowsOf(point: Point): readonly TraceProgram[] {
  if (!("tracepoint" in point) || point.cover === undefined) return [point.program];
  return [...point.cover.pending, point.program, ...point.cover.backups];
}
