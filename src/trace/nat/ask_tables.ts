/**
 * Conntrack of the tool's own network namespace, by the best way there is at the moment: the module that brings it, and the
 * one that can be asked, may come while the trace runs. Other namespaces can be asked by the program alone, and only those
 * that the own one knows by a number, as it does those to which a veth leads.
 */
import { statSync } from "node:fs";
import { monotonicNs } from "../../kernel/clock.ts";
import type { Tuple } from "../../kernel/ctnetlink_codec.ts";
import type { Host } from "../../kernel/host.ts";
import { networkNamespaces, ownNetns, type Namespace } from "../../kernel/namespaces.ts";
import { netnsIdOf } from "../../kernel/netns_ids.ts";
import type { Asked } from "./ask.ts";
import { openLookup, type Table } from "./ask_lookup.ts";
import { askHere, hasEntries } from "./ask_start.ts";

export class Tables implements Disposable {
  readonly #host: Host;
  readonly #own = ownNetns();
  #program: Table | null = null;
  /** The kernel has been asked to take the program since conntrack came. */
  #tried = false;

  /** The namespaces of processes, as they were found last. */
  #places: ReadonlyMap<number, Namespace> = new Map();
  #foundNs = -Infinity;

  constructor(host: Host) {
    this.#host = host;
  }

  /** To be told whenever it is known anew. Returns whether the program asks, which needs no capability. */
  isThere(isThere: boolean): boolean {
    if (isThere && !this.#tried) this.#program ??= openLookup(this.#host);
    this.#tried = isThere;
    return this.#program !== null;
  }

  /** `false`: connections of this namespace, the own one, have no entry. */
  mayTrack(netns: number): boolean {
    return netns !== this.#own || hasEntries();
  }

  ask(netns: number, asked: readonly Asked[]): (Tuple | null)[] {
    if (netns !== this.#own) return this.#askOther(netns, asked);
    if (!hasEntries()) return [];
    if (this.#program !== null) return this.#program.ask(asked);
    const answers = askHere(asked, () => {});
    return typeof answers === "string" ? [] : answers;
  }

  [Symbol.dispose](): void {
    this.#program?.[Symbol.dispose]();
  }

  /** Its number is asked for each time: it becomes another one's once the namespace has gone. */
  #askOther(netns: number, asked: readonly Asked[]): (Tuple | null)[] {
    if (this.#program === null) return [];
    const place = this.#placeOf(netns);
    const id = place === undefined ? null : netnsIdOf(place);
    return id === null ? [] : this.#program.ask(asked, id);
  }

  #placeOf(netns: number): Namespace | undefined {
    const nowNs = Number(monotonicNs());
    // The process that stood for it may have ended, others may be in it.
    const isOld = nowNs - this.#foundNs > PAUSE_NS;
    if (isOld && !isThere(this.#places.get(netns))) {
      this.#foundNs = nowNs;
      this.#places = new Map(networkNamespaces().map((of) => [of.netns, of]));
    }
    return this.#places.get(netns);
  }
}

// --- internal ---

/** To find the namespaces is to look at each process. */
const PAUSE_NS = 1_000_000_000;

function isThere(place: Namespace | undefined): boolean {
  return (
    place !== undefined && statSync(place.path, { throwIfNoEntry: false })?.ino === place.netns
  );
}
