/**
 * The command line of the process of an event. The kernel side copies the beginning of it when it first meets a program, so
 * it is there when the process has ended; /proc has the rest, and all of it where the kernel side could not. Pure, but
 * for the source.
 */
import type { ConnEvent } from "../../conn/event.ts";
import { readText } from "../../record/comm.ts";
import type { OwnerView } from "../../record/layout.gen.ts";
import type { Life } from "./groups.ts";
import { endOf } from "./ticks.ts";

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
  /** The path of the file that it runs; `null`: it may not be read. */
  exe: Uint8Array | null;
  /** Its parent's pid; 0: it has none. */
  parent: number;
}

/** The members of an event that tell of its program; `null`: not known. */
export type Program = Required<Pick<ConnEvent, "args" | "exe" | "parentPid" | "parentComm">>;

export interface CommandSource {
  /** `null`: the kernel side has none of this program. */
  noted(program: bigint): Noted | null;
  /** `null`: there is no such process any more. */
  process(pid: number): Running | null;
  /** The command name of a process; `null`: there is no such process any more. */
  nameOf(pid: number): Uint8Array | null;
  /** CLOCK_MONOTONIC in nanoseconds. */
  nowNs(): bigint;
}

/** The members of an owner that are needed. */
export type Asked = Pick<OwnerView, "owned_at" | "comm" | "program" | "program_number">;

/** Programs that are remembered; beyond it they are asked for anew. */
const REMEMBERED_MAX = 65_536;

export class CommandLines {
  readonly #source: CommandSource;
  readonly #byProgram = new Map<number, Program>();
  /** Only for one poll: a process may exec, and its pid be used again. */
  readonly #byPid = new Map<number, Running | null>();

  constructor(source: CommandSource) {
    this.#source = source;
  }

  /** To be called before each drain: later questions are about events that were drained later. */
  renew(): void {
    if (this.#byPid.size > 0) this.#byPid.clear();
  }

  /** Of the process `pid` when it was noted; its parent is the one that it has when it is first asked for. */
  of(pid: number | null, owner: Asked): Program {
    if (pid === null) return UNKNOWN;
    const key = owner.program_number;
    if (key === 0) return this.#ofProcess(pid, owner);
    const known = this.#byProgram.get(key);
    if (known !== undefined) return known;
    const noted = this.#source.noted(owner.program);
    if (noted === null) return this.#ofProcess(pid, owner);
    const program = this.#whole(pid, noted, owner);
    if (this.#byProgram.size >= REMEMBERED_MAX) this.#byProgram.clear();
    this.#byProgram.set(key, program);
    return program;
  }

  /** The kernel side's copy is exact as far as it goes; the process has the rest, if it still runs the same. */
  #whole(pid: number, { bytes, length }: Noted, { owned_at }: Asked): Program {
    const start = bytes.subarray(0, length);
    const found = this.#look(pid);
    const isSame =
      found !== null && Buffer.compare(found.bytes.subarray(0, start.length), start) === 0;
    const rest = isSame && this.#wasThere(found, owned_at) ? this.#restOf(found) : REST_UNKNOWN;
    if (bytes.length >= length) return { args: lineOf(start), ...rest };
    return { args: isSame ? lineOf(found.bytes) : `${lineOf(start)}${MORE}`, ...rest };
  }

  /** The process must be the one that is meant, and not have begun another program since. */
  #ofProcess(pid: number, { owned_at, comm }: Asked): Program {
    const found = this.#look(pid);
    if (found === null || found.bytes.length === 0 || !this.#wasThere(found, owned_at))
      return UNKNOWN;
    if (Buffer.compare(nameOf(found.comm), nameOf(comm)) !== 0) return UNKNOWN;
    return { args: lineOf(found.bytes), ...this.#restOf(found) };
  }

  /** Else its pid was that of another process at that time. */
  #wasThere({ exiting, startedNs }: Running, ownedAt: number): boolean {
    return !exiting && startedNs <= endOf(ownedAt, this.#source.nowNs());
  }

  #restOf({ exe, parent }: Running): Omit<Program, "args"> {
    const path = exe && readText(exe);
    if (parent === 0) return { ...REST_UNKNOWN, exe: path };
    const name = this.#source.nameOf(parent);
    return { exe: path, parentPid: parent, parentComm: name && readText(name) };
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

const REST_UNKNOWN = { exe: null, parentPid: null, parentComm: null } as const;
const UNKNOWN: Program = { args: null, ...REST_UNKNOWN };

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
