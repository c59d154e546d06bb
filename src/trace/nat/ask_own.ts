/**
 * Conntrack of the tool's own network namespace, by the best way there is at the moment: the module that brings it, and the
 * one that can be asked, may come while the trace runs.
 */
import { ctnetlinkIsThere } from "../../kernel/ctnetlink.ts";
import type { Tuple } from "../../kernel/ctnetlink_codec.ts";
import type { Host } from "../../kernel/host.ts";
import type { Asked } from "./ask.ts";
import { openLookup, type Table } from "./ask_lookup.ts";
import { askHere, hasEntries } from "./ask_start.ts";

export class OwnTable implements Disposable {
  readonly #host: Host;
  #program: Table | null = null;
  /** The kernel has been asked to take the program since conntrack came. */
  #tried = false;

  constructor(host: Host) {
    this.#host = host;
  }

  /** To be told whenever it is known anew. Returns whether the program asks, which needs no capability. */
  isThere(isThere: boolean): boolean {
    if (isThere && !this.#tried) this.#program ??= openLookup(this.#host);
    this.#tried = isThere;
    return this.#program !== null;
  }

  ask(asked: readonly Asked[]): (Tuple | null)[] {
    if (!hasEntries()) return [];
    if (this.#program !== null) return this.#program.ask(asked);
    // A GET without the module would load it.
    const answers = ctnetlinkIsThere() ? askHere(asked, () => {}) : [];
    return typeof answers === "string" ? [] : answers;
  }

  [Symbol.dispose](): void {
    this.#program?.[Symbol.dispose]();
  }
}
