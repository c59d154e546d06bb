/**
 * How the open connections fare: which there are, from the events; what they have moved, from the kernel side when
 * asked. Pure but for the source.
 */
import {
  ConnDirection,
  EventKind,
  readSample,
  SAMPLE_COOKIE,
  SAMPLE_SK,
  SAMPLE_STATE,
  SampleState,
  sampleSize,
  type Event,
  type Sample,
} from "../../record/layout.gen.ts";
import { KeptEvents, type Slot } from "../kept_events.ts";

export interface SampleSource {
  /** Connections per call. */
  readonly batch: number;
  /** Brings the first `count` samples up to date; there is room for a whole batch behind them. */
  ask(samples: Uint8Array, count: number): void;
}

/** A connection, with the numbers that were told of it last. */
interface Tracked {
  /** The event that told of it first: who and where. */
  kept: Slot;
  outgoing: boolean;
  slot: number;
  sent: bigint;
  received: bigint;
  segsOut: number;
  segsIn: number;
  retransmits: number;
  /** Whether its segments have been told: the lines of connect and accept have no totals. */
  told: boolean;
  /** Gone when it was asked for last: its close is drained by now, unless it was lost. */
  gone: boolean;
}

export class Samples {
  readonly #open = new Map<bigint, Tracked>();
  readonly #events = new KeptEvents();
  readonly #source: SampleSource;
  /** The same by slot: the n-th sample in #bytes is that of the n-th. The kernel side compares with what it wrote there. */
  readonly #slots: Tracked[] = [];
  #bytes: Uint8Array;
  #view: DataView;
  readonly #lost: Event[] = [];
  #unstable = 0n;

  constructor(source: SampleSource) {
    this.#source = source;
    this.#bytes = new Uint8Array(source.batch * sampleSize);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Connections that `take(true)` left out, because their counters changed while they were read. */
  get unstable(): bigint {
    return this.#unstable;
  }

  get size(): number {
    return this.#open.size;
  }

  /** An event that is shown, in the order of time. `false`: a sample of a connection whose close was shown before. */
  shown(event: Event): boolean {
    switch (event.kind) {
      case EventKind.EVENT_CONNECT:
      case EventKind.EVENT_ACCEPT:
      case EventKind.EVENT_PASSIVE:
      case EventKind.EVENT_OPEN:
        this.#remove(event.sk);
        this.#add(event);
        return true;
      case EventKind.EVENT_CLOSE:
        this.#remove(event.sk);
        return true;
      case EventKind.EVENT_SAMPLE:
        return this.#isOf(event);
      default:
        return true;
    }
  }

  /** It began once more for the kernel side, though it has been shown: from now on it has another cookie there. */
  renewed({ sk, cookie }: Event): void {
    const tracked = this.#open.get(sk);
    if (tracked === undefined) return;
    this.#view.setUint32(tracked.slot * sampleSize + SAMPLE_COOKIE, cookie, true);
  }

  /** One event for each connection that has moved something since it was told of last; `all`: for every connection. */
  take(all = false): Event[] {
    const moved: Event[] = [];
    const lost: Tracked[] = [];
    if (all) this.#forgetStates();
    this.#ask();
    for (const [slot, tracked] of this.#slots.entries()) {
      const state = this.#stateAt(slot);
      if (state === SampleState.SAMPLE_GONE && tracked.gone) lost.push(tracked);
      tracked.gone = state === SampleState.SAMPLE_GONE;
      if (all && state === SampleState.SAMPLE_UNSTABLE) this.#unstable++;
      if (state !== SampleState.SAMPLE_TAKEN) continue;
      const sample = readSample(this.#view, slot * sampleSize);
      if (!follow(tracked, sample) && !all) continue;
      moved.push(sampled(this.#events.get(tracked.kept), sample, tracked));
    }
    for (const { kept } of lost) {
      const event = this.#events.get(kept);
      this.#remove(event.sk);
      this.#lost.push(event);
    }
    return moved;
  }

  /** Connections that `take` has found to be gone since the last call, though no close of them was shown. */
  takeLost(): Event[] {
    return this.#lost.splice(0);
  }

  #ask(): void {
    const { batch } = this.#source;
    const count = this.#slots.length;
    for (let first = 0; first < count; first += batch) {
      const chunk = this.#bytes.subarray(first * sampleSize, (first + batch) * sampleSize);
      this.#source.ask(chunk, Math.min(batch, count - first));
    }
  }

  #stateAt(slot: number): number {
    return this.#view.getUint32(slot * sampleSize + SAMPLE_STATE, true);
  }

  /** The kernel side then takes the counters of those that stand still too. */
  #forgetStates(): void {
    for (const { slot } of this.#slots)
      this.#view.setUint32(slot * sampleSize + SAMPLE_STATE, 0, true);
  }

  #isOf({ sk, cookie }: Event): boolean {
    const tracked = this.#open.get(sk);
    return tracked !== undefined && this.#events.at(tracked.kept).cookie === cookie;
  }

  #add(event: Event): void {
    const slot = this.#slots.length;
    if ((slot + 1) * sampleSize > this.#bytes.length) this.#grow();
    const tracked = trackedFrom(event, this.#events.keep(event), slot);
    this.#slots.push(tracked);
    this.#open.set(event.sk, tracked);
    const at = slot * sampleSize;
    this.#bytes.fill(0, at, at + sampleSize);
    this.#view.setBigUint64(at + SAMPLE_SK, event.sk, true);
    this.#view.setUint32(at + SAMPLE_COOKIE, event.cookie, true);
  }

  /** The last one moves into its place. */
  #remove(sk: bigint): void {
    const tracked = this.#open.get(sk);
    if (tracked === undefined) return;
    this.#open.delete(sk);
    this.#events.drop(tracked.kept);
    const last = this.#slots.pop()!;
    if (last === tracked) return;
    const from = last.slot * sampleSize;
    this.#bytes.copyWithin(tracked.slot * sampleSize, from, from + sampleSize);
    last.slot = tracked.slot;
    this.#slots[last.slot] = last;
  }

  #grow(): void {
    const bytes = new Uint8Array(this.#bytes.length * 2);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

// --- internal ---

function trackedFrom(event: Event, kept: Slot, slot: number): Tracked {
  const told = event.kind === EventKind.EVENT_OPEN;
  return {
    kept,
    outgoing: event.direction === ConnDirection.DIRECTION_OUTGOING,
    slot,
    sent: told ? event.sent_bytes : 0n,
    received: told ? event.recv_bytes : 0n,
    segsOut: told ? Number(event.sent_packets) : 0,
    segsIn: told ? Number(event.recv_packets) : 0,
    retransmits: told ? event.retransmits : 0,
    told,
    gone: false,
  };
}

/** Takes over what has grown, and returns whether anything has. A byte count never goes back: a SYN is counted while the direction is unknown. */
function follow(tracked: Tracked, sample: Sample): boolean {
  const sent = max(tracked.sent, sentOf(tracked, sample));
  const received = max(tracked.received, sample.recv_bytes);
  const bytes = sent !== tracked.sent || received !== tracked.received;
  const packets =
    sample.sent_packets !== tracked.segsOut ||
    sample.recv_packets !== tracked.segsIn ||
    sample.retransmits !== tracked.retransmits;
  const moved = bytes || (packets && (tracked.told || sample.retransmits !== 0));
  tracked.sent = sent;
  tracked.received = received;
  tracked.segsOut = sample.sent_packets;
  tracked.segsIn = sample.recv_packets;
  tracked.retransmits = sample.retransmits;
  tracked.told = true;
  return moved;
}

/** The kernel side leaves a SYN in the count while it does not know the direction; /proc may have told it. */
function sentOf({ outgoing }: Tracked, sample: Sample): bigint {
  const unknown = sample.direction === ConnDirection.DIRECTION_UNKNOWN;
  return unknown && outgoing ? sample.sent_bytes - 1n : sample.sent_bytes;
}

function sampled(event: Event, sample: Sample, { sent, received }: Tracked): Event {
  return {
    ...event,
    kind: EventKind.EVENT_SAMPLE,
    rtt: sample.rtt,
    rtt_var: sample.rtt_var,
    retransmits: sample.retransmits,
    sent_bytes: sent,
    recv_bytes: received,
    sent_packets: BigInt(sample.sent_packets),
    recv_packets: BigInt(sample.recv_packets),
    timestamp: sample.timestamp,
    ended_at: sample.timestamp,
  };
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
