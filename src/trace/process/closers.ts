/**
 * Owners who only closed a connection that nobody was seen to open. The kernel itself closes for processes: MPTCP's worker,
 * io_uring's files after the process' end, descriptors in flight that nobody can receive any more. So a thread of the
 * kernel that only closed is no owner: the owner is unknown. Pure, but for the source.
 */
import {
  ConnDirection,
  ConnFact,
  EVENT_DIRECTION,
  EVENT_FLAGS,
  EVENT_OWNER_COMM,
  EVENT_OWNER_OWNED_AT,
  EVENT_OWNER_PID,
  EVENT_OWNER_UID,
  LINE_CONDITIONS_COMM_REFUSED,
  LINE_CONDITIONS_FLAGS_DOUBTED,
  LINE_CONDITIONS_PROGRAMS,
  ownerSize,
  PairSlots,
  readOwner,
  type Event,
  type Owner,
} from "../../record/layout.gen.ts";
import { asView, plainEvent } from "../event.ts";
import { endOf } from "./ticks.ts";

export interface CloserSource {
  /**
   * When this thread of the kernel began, nanoseconds of CLOCK_MONOTONIC, to 10 ms. `null`: a program's process, or gone;
   * `undefined`: /proc numbers processes otherwise than the events do.
   */
  kernelThread(pid: number): bigint | null | undefined;
  /** CLOCK_MONOTONIC in nanoseconds. */
  nowNs(): bigint;
}

export class Closers {
  readonly #source: CloserSource;
  /** Only for one poll: a pid may be used again. */
  readonly #known = new Map<number, bigint | null | undefined>();
  /** Processes among them that are no threads of the kernel, or of which the name decides: see struct line_conditions. */
  readonly programs = new Uint32Array(new ArrayBuffer(4 * PairSlots.PROGRAM_SLOTS));

  constructor(source: CloserSource) {
    this.#source = source;
  }

  /** To be called before each drain: later questions are about events that were drained later. */
  renew(): void {
    if (this.#known.size === 0) return;
    this.#known.clear();
    this.programs.fill(0);
  }

  /** Whether `apply` would do anything with the record at `p` but return it. */
  concern(view: DataView, p: number): boolean {
    return (
      isForOther(view, p) &&
      view.getUint32(p + EVENT_OWNER_UID, true) === 0 &&
      this.#isOfKernel(view, p)
    );
  }

  /**
   * Records that may concern it go back: see Working.conditions. Of a process that is asked about no record does from then on
   * in the same poll. `programsAt`: the address of `programs`.
   */
  conditions(to: DataView, programsAt: bigint): void {
    to.setUint32(LINE_CONDITIONS_FLAGS_DOUBTED, FOR_OTHERS, true);
    to.setBigUint64(LINE_CONDITIONS_PROGRAMS, programsAt, true);
    to.setUint32(LINE_CONDITIONS_COMM_REFUSED, FIRST);
    to.setUint32(LINE_CONDITIONS_COMM_REFUSED + 4, SECOND);
  }

  /** The event, without an owner that is a thread of the kernel. */
  apply(event: Event): Event {
    if (event.owner.uid !== 0 || !mayBeForOther(event)) return event;
    const { view, p } = asView(event);
    if (!isForOther(view, p)) return event;
    return this.#isOfKernel(view, p) ? { ...plainEvent(event), owner: NOBODY } : event;
  }

  #isOfKernel(view: DataView, p: number): boolean {
    const pid = view.getUint32(p + EVENT_OWNER_PID, true);
    let startedNs = this.#known.get(pid);
    if (startedNs === undefined && !this.#known.has(pid)) {
      startedNs = this.#source.kernelThread(pid);
      this.#known.set(pid, startedNs);
      if ((startedNs ?? null) === null) this.programs[pid & (PairSlots.PROGRAM_SLOTS - 1)] = pid;
    }
    if (startedNs === undefined) return hasNameOfWorker(view, p);
    if (startedNs === null) return false;
    // One that began later has only got its number.
    const ownedAt = view.getUint32(p + EVENT_OWNER_OWNED_AT, true);
    return startedNs <= endOf(ownedAt, this.#source.nowNs());
  }
}

// --- internal ---

const NOBODY: Owner = readOwner(new DataView(new ArrayBuffer(ownerSize)), 0);

const FOR_OTHERS = ConnFact.FACT_OWNED_BY_CLOSER | ConnFact.FACT_OPENED_FOR_OTHER;

/**
 * Whether the owner, should it be a thread of the kernel, may have closed the connection, opened or accepted it for a process.
 * Workers accept for processes (SMC) and for the kernel's own servers (RDS): nothing tells which.
 */
function isForOther(view: DataView, p: number): boolean {
  const flags = view.getUint32(p + EVENT_FLAGS, true);
  if ((flags & FOR_OTHERS) !== 0) return true;
  return (
    (flags & ConnFact.FACT_ACCEPTED) !== 0 &&
    view.getUint8(p + EVENT_DIRECTION) === ConnDirection.DIRECTION_INCOMING &&
    hasNameOfWorker(view, p)
  );
}

/** The same of nearly all events, without a view of the event: to make one takes longer than all the rest. */
const mayBeForOther = ({ flags, owner }: Event): boolean =>
  (flags & FOR_OTHERS) !== 0 ||
  ((flags & ConnFact.FACT_ACCEPTED) !== 0 && owner.comm[0] === WORKER.getUint8(0));

/** The threads of the kernel that close for others; another program of root's can have the name, which is unknown then too. */
const WORKER = new DataView(Uint8Array.from(Buffer.from("kworker/")).buffer);
const [FIRST, SECOND] = [WORKER.getUint32(0), WORKER.getUint32(4)];

/** By words, as each record of an accepted connection is asked. */
const hasNameOfWorker = (view: DataView, p: number): boolean =>
  view.getUint32(p + EVENT_OWNER_COMM) === FIRST &&
  view.getUint32(p + EVENT_OWNER_COMM + 4) === SECOND;
