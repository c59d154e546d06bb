/**
 * The command line of the process of an event. The kernel side copies the beginning of it when it first meets a program, so
 * it is there when the process has ended; /proc has the rest, and all of it where the kernel side could not. Pure, but
 * for the source.
 */
import { readText } from "../../record/comm.ts";
import type { OwnerView } from "../../record/layout.gen.ts";
import { endOf, type Life } from "./groups.ts";

/** The kernel side's copy of a program's command line. */
export interface Noted {
  /** Arguments, each ended by NUL: the beginning. */
  bytes: Uint8Array;
  /** Of the whole. */
  length: number;
}

/** A process as it is now. */
export interface Running extends Life {
  comm: Uint8Array;
  /** As Noted's, up to some KiB. */
  bytes: Uint8Array;
}

export interface CommandSource {
  /** `null`: the kernel side has none of this program. */
  noted(program: bigint): Noted | null;
  /** `null`: there is no such process any more. */
  process(pid: number): Running | null;
  /** CLOCK_MONOTONIC in nanoseconds. */
  nowNs(): bigint;
}

/** The members of an owner that are needed. */
export type Asked = Pick<OwnerView, "owned_at" | "comm" | "program" | "program_number">;

/** Programs that are remembered; beyond it they are asked for anew. */
const REMEMBERED_MAX = 65_536;

export class CommandLines {
  readonly #source: CommandSource;
  readonly #byProgram = new Map<number, string>();
  /** Only for one poll: a process may exec, and its pid be used again. */
  readonly #byPid = new Map<number, Running | null>();

  constructor(source: CommandSource) {
    this.#source = source;
  }

  /** To be called before each drain: later questions are about events that were drained later. */
  renew(): void {
    if (this.#byPid.size > 0) this.#byPid.clear();
  }

  /** Of the process `pid` when it was noted; `null`: not known. */
  of(pid: number | null, owner: Asked): string | null {
    if (pid === null) return null;
    const key = owner.program_number;
    if (key === 0) return this.#ofProcess(pid, owner);
    const known = this.#byProgram.get(key);
    if (known !== undefined) return known;
    const noted = this.#source.noted(owner.program);
    if (noted === null) return this.#ofProcess(pid, owner);
    const line = this.#whole(pid, noted);
    if (this.#byProgram.size >= REMEMBERED_MAX) this.#byProgram.clear();
    this.#byProgram.set(key, line);
    return line;
  }

  /** The kernel side's copy is exact as far as it goes. */
  #whole(pid: number, { bytes, length }: Noted): string {
    const start = bytes.subarray(0, length);
    if (bytes.length >= length) return lineOf(start);
    const all = this.#look(pid)?.bytes;
    const same = all !== undefined && Buffer.compare(all.subarray(0, start.length), start) === 0;
    return same ? lineOf(all) : `${lineOf(start)}${MORE}`;
  }

  /** The process must be the one that is meant, and not have begun another program since. */
  #ofProcess(pid: number, { owned_at, comm }: Asked): string | null {
    const found = this.#look(pid);
    if (found === null || found.exiting || found.bytes.length === 0) return null;
    if (found.startedNs > endOf(owned_at, this.#source.nowNs())) return null;
    return Buffer.compare(nameOf(found.comm), nameOf(comm)) === 0 ? lineOf(found.bytes) : null;
  }

  #look(pid: number): Running | null {
    let found = this.#byPid.get(pid);
    if (found === undefined) {
      found = this.#source.process(pid);
      this.#byPid.set(pid, found);
    }
    return found;
  }
}

// --- internal ---

/** Behind a command line that goes on. */
const MORE = " ...";

/** With one blank between two arguments, as ps shows them. */
function lineOf(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return readText(bytes.subarray(0, end).map((byte) => (byte === 0 ? BLANK : byte)));
}

const BLANK = 0x20;

function nameOf(comm: Uint8Array): Uint8Array {
  const end = comm.indexOf(0);
  return end < 0 ? comm : comm.subarray(0, end);
}
