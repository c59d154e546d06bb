/** The state of each connection at the end of an interval. Pure types. */
import type { ConnEvent } from "../conn/event.ts";
import type { Ended } from "./ended.ts";
import type { Places } from "./places.ts";

/** A connection or flow that is open, or that ended in the interval. `null`: not known. Never changed once it is made, but for `place`. */
export interface Fact {
  /** Of its row among `places`, which has looked it up: most facts are the same in many intervals. */
  places: Places | null;
  place: number;
  /** The newest that is known of it. */
  event: ConnEvent;
  open: boolean;
  /** It began in the interval. */
  opened: boolean;
  /** An attempt that came to nothing. */
  failed: boolean;
  /** Bytes in the interval. */
  tx: number | null;
  rx: number | null;
  /** Segments sent again in the interval. */
  retransmits: number | null;
  /** Since the view began; of a connection that is younger, since its own beginning. */
  txTotal: number | null;
  rxTotal: number | null;
  retransmitsTotal: number | null;
  rttUs: number | null;
  /** From the SYN until it was established. */
  connectUs: number | null;
}

/** One interval. */
export interface Tick {
  /** Its end, nanoseconds of CLOCK_MONOTONIC. */
  atNs: bigint;
  elapsedNs: bigint;
  facts: readonly Fact[];
  /** All that had ended by then, also in earlier intervals. */
  ended: Ended;
}
