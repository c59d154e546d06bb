/**
 * The lease of the program that sees segments (bpf/protocols/lease.h). On a host with much traffic and no new connection it
 * has nothing to look at, but would run for each segment: it is detached, and attached again once a connection begins, and
 * now and then to see whether the traffic has become less. It needs no poll of its own.
 */
import { explained } from "../../kernel/host.ts";
import { close } from "../../kernel/libc.ts";
import type { KernelObject } from "../../kernel/object.ts";
import { KernelError, type Shim } from "../../kernel/shim.ts";
import { leaseSize, readLease, type Lease as Counts } from "../../record/layout.gen.ts";
import type { HeldPoint, Opened } from "../part.ts";

export const LEASED: HeldPoint = { program: "on_segment", held: true };

/** A connection has so long to speak before segments may be missed. */
export const LINGER_MS = 1000;
/** After so long the traffic is measured again. */
export const PAUSE_MS = 5000;
/** Of segments a second, the fewest for which the program is detached. */
export const LOUD = 2000;

/** Decides whether the program is to be attached. It is at the start. Pure. */
export class LeaseRule {
  readonly #loud: number;
  #attached = true;
  /** When the program was attached or detached, or its segments were counted from 0. */
  #sinceMs: number;
  #counts: Counts;
  /** When a connection was last seen to begin or to be looked at. */
  #pendingMs: number;

  constructor(nowMs: number, counts: Counts, loud = LOUD) {
    this.#loud = loud;
    this.#sinceMs = nowMs;
    this.#pendingMs = nowMs;
    this.#counts = counts;
  }

  /** `looked`: first bytes have come since the last call. */
  attached(nowMs: number, counts: Counts, looked: boolean): boolean {
    const opens = counts.opened !== this.#counts.opened;
    if (opens || looked) this.#pendingMs = nowMs;
    this.#counts.opened = counts.opened;
    if (!this.#attached) {
      if (opens || nowMs - this.#sinceMs >= PAUSE_MS) this.#turn(true, nowMs, counts);
      return this.#attached;
    }
    const elapsedMs = nowMs - this.#sinceMs;
    const segments = (counts.segments - this.#counts.segments) >>> 0;
    const isLoud = segments >= this.#loud && segments * 1000 >= this.#loud * elapsedMs;
    if (isLoud && nowMs - this.#pendingMs >= LINGER_MS) this.#turn(false, nowMs, counts);
    else if (isLoud || elapsedMs >= WINDOW_MS) this.#turn(true, nowMs, counts);
    return this.#attached;
  }

  #turn(attached: boolean, nowMs: number, counts: Counts): void {
    this.#attached = attached;
    this.#sinceMs = nowMs;
    this.#counts = counts;
  }
}

/** The part's view of an attachment. */
export interface Leased extends Partial<Disposable> {
  /** How often the program was detached. */
  readonly pauses: number;
  /** How often the kernel did not let it be attached again. */
  readonly refused: number;
  /** After each poll; `looked`: first bytes have come since the last one. */
  renew(looked: boolean): void;
  /** Does once what needs capabilities. */
  rehearse(): void;
}

/** Before 4.17: the probes of bpf/protocols/queues.h seldom run, and to attach a kprobe takes a tenth of a second. */
export const unleased: Leased = { pauses: 0, refused: 0, renew() {}, rehearse() {} };

/** The attachment. The object closes it at the end. */
export class Lease implements Leased, Disposable {
  readonly #shim: Shim;
  readonly #object: KernelObject;
  #fd: number | null;
  #rule: LeaseRule;
  #pauses = 0;
  #refused = 0;

  /** Attached. Throws a Failure. `loud`: see LOUD. */
  constructor({ host: { shim }, object }: Pick<Opened, "host" | "object">, loud?: number) {
    this.#shim = shim;
    this.#object = object;
    try {
      this.#fd = this.#attach();
    } catch (error) {
      throw explained(error, { step: "attach", subject: `tracepoint ${TRACEPOINT}` });
    }
    object.own(this);
    this.#rule = new LeaseRule(performance.now(), this.#counts(), loud);
  }

  get pauses(): number {
    return this.#pauses;
  }

  get refused(): number {
    return this.#refused;
  }

  renew(looked: boolean): void {
    if (this.#rule.attached(performance.now(), this.#counts(), looked)) this.#resume();
    else this.#pause();
  }

  /** Attaches the program a second time, and detaches that again: as often as not at once it is what `renew` does. */
  rehearse(): void {
    close(this.#attach());
  }

  [Symbol.dispose](): void {
    if (this.#fd !== null) close(this.#fd);
    this.#fd = null;
  }

  #pause(): void {
    if (this.#fd === null) return;
    this.#pauses++;
    this[Symbol.dispose]();
  }

  #resume(): void {
    if (this.#fd !== null) return;
    try {
      this.#fd = this.#attach();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // It is tried again at the next poll.
      this.#refused++;
    }
  }

  #attach(): number {
    return this.#shim.rawTracepoint(this.#object.progFd(LEASED.program), TRACEPOINT);
  }

  #counts(): Counts {
    const value = new Uint8Array(leaseSize);
    this.#shim.mapLookup(this.#object.mapFd("lease"), new Uint32Array(1), value);
    return readLease(new DataView(value.buffer), 0);
  }
}

// --- internal ---

const TRACEPOINT = "tcp_probe";
/** Traffic that comes in bursts is measured over so long. */
const WINDOW_MS = 1000;
