/**
 * How long the tool's programs run in the kernel. The kernel measures that when asked to, with two readings of a clock
 * per run, of every program of the host: too much for always, so it is asked for a second now and then.
 */

import { close } from "../../kernel/libc.ts";
import type { KernelObject } from "../../kernel/object.ts";
import type { Shim } from "../../kernel/shim.ts";
import { EventView, tracePrograms } from "../../record/layout.gen.ts";
import type { EventSink } from "../trace.ts";

/** Of all windows together. */
export interface KernelTime {
  /** Of all processors. */
  ns: bigint;
  /** Each time that a program ran. */
  runs: bigint;
  /** The events that happened in a window and were shown. */
  events: number;
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

const NS_PER_SECOND = 1_000_000_000n;
/** A window may be longer: it ends at a poll. */
const WINDOW_NS = NS_PER_SECOND;
const EVERY_NS = 30n * NS_PER_SECOND;
/** Events of a window come at one of the next polls. */
const BELATED_NS = 2n * NS_PER_SECOND;

/** The first window begins with the first poll, or before the capabilities for it are dropped; then it is the only one. */
export class TimeWindows implements Disposable {
  readonly #source: TimeSource;
  readonly #total: KernelTime = { ns: 0n, runs: 0n, events: 0 };
  /** The window that is open, `handle`, or was the last. */
  #window: { beginNs: bigint; endNs: bigint | null } | null = null;
  #handle: number | null = null;
  #atBegin = { ns: 0n, runs: 0n };
  #nextNs: bigint | null = 0n;

  constructor(source: TimeSource) {
    this.#source = source;
  }

  /** Whether events of the next poll can be of a window. */
  counting(nowNs: bigint): boolean {
    if (this.#window === null) return false;
    const { endNs } = this.#window;
    return endNs === null || nowNs <= endNs + BELATED_NS;
  }

  /** The same sink, what it gets counted. */
  counted(sink: EventSink): EventSink {
    const counted: EventSink = {
      event: (event) => {
        this.#happened(event.atNs);
        sink.event(event);
      },
    };
    if (sink.record !== undefined)
      counted.record = (view, p, describe) => {
        if (!sink.record!(view, p, describe)) return false;
        this.#happened(new EventView(view, p).timestamp);
        return true;
      };
    return counted;
  }

  /** After each poll; `nowNs` on the events' clock. */
  polled(nowNs: bigint): void {
    if (this.#handle !== null && nowNs >= this.#window!.beginNs + WINDOW_NS) this.#close(nowNs);
    if (this.#handle === null && this.#nextNs !== null && nowNs >= this.#nextNs) this.#open(nowNs);
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
    if (this.#handle !== null) this.#window = { beginNs: nowNs, endNs: null };
  }

  #close(nowNs: bigint): void {
    this[Symbol.dispose]();
    const { ns, runs } = this.#source.read();
    this.#total.ns += ns - this.#atBegin.ns;
    this.#total.runs += runs - this.#atBegin.runs;
    this.#window!.endNs = nowNs;
  }

  #happened(atNs: bigint): void {
    const { beginNs, endNs } = this.#window!;
    if (atNs >= beginNs && (endNs === null || atNs < endNs)) this.#total.events += 1;
  }
}
