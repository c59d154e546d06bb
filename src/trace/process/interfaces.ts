/**
 * The interface of a link-local address, which means nothing without it. This end's address tells: an interface has it. Pure,
 * but for the source.
 */
import type { LinkLocals } from "../../kernel/interfaces.ts";

export interface InterfaceSource {
  /** null: nobody knows, by now. `pid`: a process that is in `netns`, null: none is known. */
  linkLocals(netns: number, pid: number | null): LinkLocals | null;
  /** Milliseconds of any clock that does not jump. */
  nowMs(): number;
}

/** An interface comes, goes and gets addresses at any time. */
const OLD_MS = 1000;
const REMEMBERED_MAX = 1024;

export class Interfaces {
  readonly #source: InterfaceSource;
  readonly #known = new Map<number, { locals: LinkLocals; readMs: number }>();

  constructor(source: InterfaceSource) {
    this.#source = source;
  }

  /** Of the interface that has this link-local address; null: none that is known, or several. */
  nameOf(address: string, netns: number, pid: number | null): string | null {
    const nowMs = this.#source.nowMs();
    const known = this.#known.get(netns);
    const isYoung = known !== undefined && nowMs - known.readMs < OLD_MS;
    if (isYoung && known.locals.has(address)) return known.locals.get(address)!;
    const locals = this.#source.linkLocals(netns, pid);
    if (locals === null) return null;
    if (this.#known.size >= REMEMBERED_MAX) this.#known.clear();
    this.#known.set(netns, { locals, readMs: nowMs });
    return locals.get(address) ?? null;
  }
}
