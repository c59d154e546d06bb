/**
 * Processes that are over, of which the kernel side still holds that they are followed: it was not told of their end,
 * because its probe was busy or is not there. Pure.
 */

export interface FollowedSource {
  /** Process (tgid) and the address of its first task. */
  dump(): Iterable<readonly [tgid: number, task: bigint]>;
  isOver(tgid: number): boolean;
  forget(tgid: number): void;
}

/** Between two looks. */
const PAUSE_NS = 5_000_000_000n;

export class Leftover {
  readonly #source: FollowedSource;
  #nextNs = 0n;
  /** Processes that were over at the last look. The kernel side is told of most ends only moments after they can be seen here. */
  #over = new Map<number, bigint>();

  constructor(source: FollowedSource) {
    this.#source = source;
  }

  /** To be called all the time. Forgets those that were over at two looks: a new process with the pid is another task. */
  renew(nowNs: bigint): void {
    if (nowNs < this.#nextNs) return;
    this.#nextNs = nowNs + PAUSE_NS;
    const over = new Map<number, bigint>();
    for (const [tgid, task] of this.#source.dump()) {
      if (!this.#source.isOver(tgid)) continue;
      if (this.#over.get(tgid) === task) this.#source.forget(tgid);
      else over.set(tgid, task);
    }
    this.#over = over;
  }
}
