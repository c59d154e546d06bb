/**
 * How long the tool's programs run in the kernel. The kernel measures that when asked to, with two readings of a clock
 * per run, of every program of the host: too much for always, so it is asked for a second now and then.
 */

import { close } from "../../kernel/libc.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import { tracePrograms } from "../../record/layout.gen.ts";

/** Of all windows together. */
export interface KernelTime {
  /** Of all processors. */
  ns: bigint;
  /** Each time that a program ran. */
  runs: bigint;
  /** The length of the windows. */
  ofNs: bigint;
}

export interface TimeSource {
  /** Begins to measure, for `stop`; null: cannot. */
  start(): number | null;
  stop(handle: number): void;
  /** Since the programs were loaded. */
  read(): { ns: bigint; runs: bigint };
}

export function timeSource(shim: Shim, object: KernelObject): TimeSource {
  const programs = tracePrograms.filter((program) => object.loaded(program));
  return {
    start: () => shim.timePrograms(),
    stop: (fd) => void close(fd),
    read() {
      const nothing = { ns: 0n, runs: 0n };
      const times = programs.map((p) => shim.progTime(object.progFd(p)) ?? nothing);
      return times.reduce((sum, { ns, runs }) => ({ ns: sum.ns + ns, runs: sum.runs + runs }));
    },
  };
}

const NS_PER_MS = 1e6;
const NS_PER_SECOND = 1_000_000_000n;
/** A window may be longer by some ms: it ends at a poll. */
const WINDOW_NS = NS_PER_SECOND;
const EVERY_NS = 30n * NS_PER_SECOND;

/** The first window begins with the first poll, or before the capabilities for it are dropped; then it is the only one. */
export class TimeWindows implements Disposable {
  readonly #source: TimeSource;
  readonly #total: KernelTime = { ns: 0n, runs: 0n, ofNs: 0n };
  /** Of the window that is open. */
  #handle: number | null = null;
  #beganNs = 0n;
  #atBegin = { ns: 0n, runs: 0n };
  #nextNs: bigint | null = 0n;

  constructor(source: TimeSource) {
    this.#source = source;
  }

  /** After each poll; `nowNs` on the events' clock. */
  polled(nowNs: bigint): void {
    if (this.#handle !== null && nowNs >= this.#beganNs + WINDOW_NS) this.#close(nowNs);
    if (this.#handle === null && this.#nextNs !== null && nowNs >= this.#nextNs) this.#open(nowNs);
  }

  /** Until the window that is open is to end. */
  dueMs(nowNs: bigint): number {
    if (this.#handle === null) return Infinity;
    return Number(this.#beganNs + WINDOW_NS - nowNs) / NS_PER_MS;
  }

  /** null: nothing was measured. An open window counts as far as it has come. */
  total(nowNs: bigint): KernelTime | null {
    if (this.#handle !== null) this.#close(nowNs);
    return this.#total.runs === 0n ? null : { ...this.#total };
  }

  [Symbol.dispose](): void {
    if (this.#handle !== null) this.#source.stop(this.#handle);
    this.#handle = null;
  }

  /** Read before the kernel begins and after it has ended, so that no run of the window is left out. */
  #open(nowNs: bigint): void {
    this.#atBegin = this.#source.read();
    this.#handle = this.#source.start();
    // If it cannot be had once, it is not asked for again.
    this.#nextNs = this.#handle === null ? null : nowNs + EVERY_NS;
    this.#beganNs = nowNs;
  }

  #close(nowNs: bigint): void {
    this[Symbol.dispose]();
    const { ns, runs } = this.#source.read();
    this.#total.ns += ns - this.#atBegin.ns;
    this.#total.runs += runs - this.#atBegin.runs;
    this.#total.ofNs += nowNs - this.#beganNs;
  }
}
