/** An open trace, and the sink that gets its events. */
import type { TracedEvent } from "../conn/identity.ts";
import type { MapFill, Shim } from "../kernel/shim.ts";
import type { Records } from "../record/records.ts";
import type { PartCount, Startable } from "./part.ts";
import type { KernelTime } from "./health/kernel_time.ts";
import type { LossCount } from "./health/losses.ts";

export interface Trace extends AsyncDisposable {
  /** "tracing TCP and UDP with kprobes on Linux 6.12.1, offsets guessed in 92 ms" */
  readonly description: string;
  /** Makes lines of its records: see output/straight/native.ts. */
  readonly native: Pick<Shim, "addressOf" | "putLine" | "putLines">;
  /** For the user, before the first line: numbers that will be missing, a file that was not used. */
  readonly notes: string[];
  /**
   * Drains once. In order of time, but for what was there before the trace, which comes once all of it is listed; what happened
   * during the drain waits for the next one, unless it is the last.
   */
  poll(last?: boolean): TracedEvent[];
  /**
   * The same, without a list, for those who can do with the records of the kernel. `enough` is asked now and then: once it
   * says so, the rest of the poll is left to the next call, and `false` is returned.
   */
  pollInto(sink: EventSink, last: boolean, enough?: () => boolean): boolean;
  /**
   * Resolves after `leastMs`; where nothing waits for the next poll, not before something happens in the kernel, nobody
   * reads what is written to `readerFd` any more, or `mostMs` are over. It does not keep the process alive.
   */
  wait(leastMs: number, mostMs: number, readerFd?: number): Promise<void>;
  /**
   * Looks at every open connection and UDP flow, with the option `sampling` only. The next poll gives a "sample"
   * for each that has moved something since it was told of last, or for `all` of them. Returns those that are gone though no
   * close was told of them.
   */
  sample(all?: boolean): TracedEvent[];
  /**
   * Calls `start`, which must start one process: with the filter `descendants` only what that and its descendants do is
   * traced, from its first moment. Throws what `start` throws, and a Failure if the kernel side did not see its start.
   */
  launch<T extends Startable>(start: () => T): T;
  /**
   * With the option `answers`: the name under which a program in this network namespace has found the address, as a name server
   * said; raw text. `null`: none was seen to.
   */
  nameOf(netns: number, address: string): string | null;
  readonly losses: () => LossCount[];
  /** Numbers that parts tell of the whole trace, so far. */
  counts(): PartCount[];
  /** The time that the programs took in the kernel; null: not measured, or this kernel does not tell. */
  kernelTime(): KernelTime | null;
  /**
   * Sockets that are older than the trace are listed in pieces, at the end of each `pollInto` that can have enough, and events
   * of the meantime are told at once. This lists all that is left, as every other poll does.
   */
  takeStock(): void;
  /** Calls `then` once all is listed, now or at the end of a poll: only then `notes` are complete. */
  afterStock(then: () => void): void;
  /** How full each map in the kernel is. */
  maps(): MapFill[];
  /**
   * Takes from the whole process, for good, the capabilities that the trace does not need any more: whatever else needs
   * them must be open or running by then, and all that was there must be listed. Returns what went wrong, for the user.
   */
  dropCapabilities(): string[];
}

/** The record at `p` of `view` as an event. */
export type Describe = (view: DataView, p: number) => TracedEvent;

/** Gets what a poll shows, in order. */
export interface EventSink {
  event(event: TracedEvent): void;
  /**
   * A struct event that is shown as it is; it lies there only for the time of the call. `false`: not taken. The sink asks all
   * of the trace's filter of it again, as the kernel side may not have known all.
   */
  record?(view: DataView, p: number, describe: Describe): boolean;
  /** The same of several that meet the conditions, up to the first that is not taken or does not meet them. Returns how many. */
  records?(of: Records, describe: Describe): number;
}
