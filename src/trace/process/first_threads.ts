/**
 * The command name of the process of a thread that is not its first: the kernel side tells the name of the thread that calls.
 * Names are kept by number, for a record has room for no more than a number. Pure, but for the source.
 */
import { readComm } from "../../record/comm.ts";
import { Numbers } from "../../record/numbers.ts";
import type { Life } from "./groups.ts";
import { endOf, wasThere, type SeenProcess } from "./ticks.ts";

/** A process as it is now. */
export interface Named extends Pick<Life, "startedNs"> {
  comm: Uint8Array;
}

export interface NameSource {
  /**
   * As the kernel side noted it when a thread called; startedNs: since when the process has had the name. `null`: it noted none,
   * or an empty one.
   */
  noted(pid: number): Named | null;
  /** `null`: there is no such process any more. */
  process(pid: number): Named | null;
  /** CLOCK_MONOTONIC in nanoseconds. */
  nowNs(): bigint;
}

interface Seen extends SeenProcess {
  name: string;
}

/** owner.of_thread, as the kernel side fills it. */
export const OTHER_THREAD = 1;

/** Processes that are remembered; beyond it they are asked for anew. */
const REMEMBERED_MAX = 65_536;

export class FirstThreads {
  readonly #source: NameSource;
  /** Names that the kernel side noted come first, as they are of the moment of the call. */
  readonly #answers: readonly Answers[];
  /** Names without a number have slower lines. */
  readonly #numbers = new Numbers<string | null>(OTHER_THREAD + 1);

  constructor(source: NameSource) {
    this.#source = source;
    const nowNs = () => source.nowNs();
    this.#answers = [
      new Answers((pid) => source.noted(pid), nowNs),
      new Answers((pid) => source.process(pid), nowNs),
    ];
  }

  /** To be called before each drain: later questions are about events that were drained later. */
  renew(): void {
    for (const answers of this.#answers) answers.renew();
  }

  /** The number that the record may hold in place of OTHER_THREAD, so that it tells the name by itself; `null`: none is left. */
  numberOf(pid: number, ownedAt: number): number | null {
    return this.#numbers.give(this.#look(pid, ownedAt));
  }

  /** `ofThread` is not 0. `null`: not known. */
  nameOf(pid: number, ownedAt: number, ofThread: number): string | null {
    if (ofThread === OTHER_THREAD) return this.#look(pid, ownedAt);
    return this.#numbers.of(ofThread) ?? null;
  }

  #look(pid: number, ownedAt: number): string | null {
    const end = endOf(ownedAt, this.#source.nowNs());
    for (const answers of this.#answers) {
      const name = answers.of(pid, end);
      if (name !== null) return name;
    }
    return null;
  }
}

// --- internal ---

/** The names that one source has told. */
class Answers {
  readonly #ask: (pid: number) => Named | null;
  readonly #nowNs: () => bigint;
  /** A close has the moment of its connect, and the process may be gone by then. */
  readonly #seen = new Map<number, Seen>();
  /** Processes that were asked for in this poll: one may exec, or get another name. */
  readonly #asked = new Set<number>();

  constructor(ask: (pid: number) => Named | null, nowNs: () => bigint) {
    this.#ask = ask;
    this.#nowNs = nowNs;
  }

  renew(): void {
    if (this.#asked.size > 0) this.#asked.clear();
  }

  /** Of the process that had this pid in the tick that ends at `end`. */
  of(pid: number, end: bigint): string | null {
    if (!this.#asked.has(pid)) this.#askFor(pid);
    const seen = this.#seen.get(pid);
    if (seen === undefined) return null;
    return wasThere(seen, end) ? seen.name : null;
  }

  #askFor(pid: number): void {
    this.#asked.add(pid);
    const seenNs = this.#nowNs();
    const found = this.#ask(pid);
    if (found === null) return;
    if (this.#seen.size >= REMEMBERED_MAX) this.#seen.clear();
    this.#seen.set(pid, { startedNs: found.startedNs, seenNs, name: readComm(found.comm) });
  }
}
