/** Gathers the contents of a report, connection by connection. Pure. */
import { processName } from "../conn/process_name.ts";
import type { Direction } from "../conn/event.ts";
import {
  addConnection,
  groupings,
  Groups,
  noSums,
  type Group,
  type Grouping,
  type Sums,
} from "../summary/groups.ts";
import { Rows } from "../summary/rows.ts";
import type { Told } from "../summary/tally.ts";
import { Bins, type Bin } from "./bins.ts";
import { connectionColumns, type Cell } from "./columns.ts";

/** The counts of a bin, in their order. */
export const BEGAN = 0;
export const FAILED = 1;
export const ENDED = 2;

/** The connections of one process with one service. */
export interface Link extends Sums {
  process: string | null;
  service: string | null;
  /** The service is here, or elsewhere. */
  direction: Direction;
}

export interface Gathered {
  /** The newest ones, in the order in which they ended; cells as `connectionColumns` has them. */
  rows: readonly (readonly Cell[])[];
  /** How many were older than these. */
  older: number;
  groups: readonly { by: Grouping; groups: readonly Group[] }[];
  links: readonly Link[];
  bins: readonly Bin[];
  /** Connections that were there before the first event. */
  openBefore: number;
}

/** Groupings whose tables stand in every report. To add one, add it. */
const GROUPINGS: readonly Grouping[] = ["process", "service", "remote", "unit", "app"];

export class Gathering {
  readonly #most: number;
  readonly #rows: Cell[][] = [];
  readonly #groups = GROUPINGS.map((by) => new Groups(by));
  readonly #links = new Rows<Link>(() => linkOf(null, null, "unknown"));
  readonly #bins = new Bins(3);
  #told = 0;
  #openBefore = 0;

  /** `most`: connections that the report lists. */
  constructor(most: number) {
    this.#most = most;
  }

  /** A connection or an attempt that is over, or of which nothing more is told. */
  add(told: Told): void {
    const { event, state, beganNs, untilNs } = told;
    this.#rows[this.#told % this.#most] = connectionColumns.map(({ of }) => of(told));
    this.#told += 1;
    if (state === "failed") {
      for (const groups of this.#groups) groups.fail(event);
      this.#bins.add(untilNs, FAILED);
      return;
    }
    for (const groups of this.#groups) groups.add(event, state === "open");
    addConnection(this.#linkOf(told), event.totals, state === "open");
    if (beganNs === null) this.#openBefore += 1;
    else this.#bins.add(beganNs, BEGAN);
    this.#bins.add(untilNs, ENDED);
  }

  get all(): Gathered {
    const first = this.#told > this.#most ? this.#told % this.#most : 0;
    return {
      rows: [...this.#rows.slice(first), ...this.#rows.slice(0, first)],
      older: Math.max(0, this.#told - this.#most),
      groups: this.#groups.map((groups) => ({ by: groups.by, groups: groups.sorted() })),
      links: this.#links.sorted((a, b) => b.connections - a.connections),
      bins: this.#bins.all,
      openBefore: this.#openBefore,
    };
  }

  #linkOf({ event }: Told): Link {
    const [process, service] = [processName(event), groupings.service.of(event)];
    const { direction } = event;
    const key = JSON.stringify([process, service, direction]);
    return this.#links.of(key, () => linkOf(process, service, direction));
  }
}

// --- internal ---

const linkOf = (process: string | null, service: string | null, direction: Direction): Link => ({
  process,
  service,
  direction,
  ...noSums(),
});
