/** Entries of conntrack as the kernel tells that it makes them, also those that are gone soon: by conntrack(8), per namespace. */
import { closeSync, openSync, readFileSync } from "node:fs";
import { inPlace } from "./nat_network.ts";
import type { Link } from "./nat_sockets.ts";
import { asked, changeOf } from "./nat_truth.ts";
import { until } from "./peer.ts";

/** Namespaces with rules of the tests. */
const places = ["p3", "root"] as const;

export class EntriesMade implements Disposable {
  readonly #listeners = places.map((place) => {
    const [out, err] = [`/tmp/entries.${place}`, `/tmp/entries.${place}.err`];
    const [stdout, stderr] = [openSync(out, "w"), openSync(err, "w")];
    const child = inPlace(place, () =>
      Bun.spawn(["conntrack", "-E", "-e", "NEW", "-b", String(BUFFER_BYTES)], {
        stdin: "ignore",
        stdout,
        stderr,
      }),
    );
    for (const fd of [stdout, stderr]) closeSync(fd);
    return { out, err, child };
  });

  /** Of the client's tuple all that it has become, by both tables. Waits until `last` is told. */
  changes(last: Link): (link: Link) => Set<string> {
    until("the last entry is told", () => this.#read()(last).size > 0);
    return this.#read();
  }

  /** Whether the kernel has told more than anybody took. */
  get losses(): string {
    return this.#listeners.map(({ err }) => readFileSync(err, "utf8")).join("");
  }

  [Symbol.dispose](): void {
    for (const { child } of this.#listeners) child.kill();
  }

  #read(): (link: Link) => Set<string> {
    const tables = this.#listeners.map(({ out }) => {
      const told = new Map<string, Set<string>>();
      for (const line of readFileSync(out, "latin1").split("\n")) {
        const change = changeOf(line);
        if (change === null) continue;
        const [before, after] = change;
        told.set(before, (told.get(before) ?? new Set()).add(after));
      }
      return told;
    });
    return (link) => {
      let tuples = new Set([asked(link)]);
      let isTold = false;
      for (const told of tables) {
        const onward = [...tuples].map((tuple) => told.get(tuple));
        isTold ||= onward.some((after) => after !== undefined);
        tuples = new Set([...tuples].flatMap((tuple, n) => [...(onward[n] ?? [tuple])]));
      }
      return isTold ? tuples : new Set();
    };
  }
}

// --- internal ---

const BUFFER_BYTES = 16 << 20;
