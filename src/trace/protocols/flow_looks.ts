/** The flows of UDP whose first datagrams have been looked at, until they end. Pure. */
import {
  ConnDirection,
  EVENT_COOKIE,
  readDatagramLook,
  type DatagramLook,
} from "../../record/layout.gen.ts";
import { flowAt } from "../sock.ts";
import type { Recogniser } from "./streams.ts";

export interface LookedAtFlow<R> {
  /** See struct datagram_look. */
  endpoint: number;
  recogniser: R;
}

/** Flows that are filtered out have no end that removes their entry: the oldest entries go first. */
const MOST = 16_384;

export class FlowLooks<R extends Recogniser> {
  readonly #make: () => R;
  readonly #most: number;
  readonly #byKey = new Map<string, LookedAtFlow<R>>();

  constructor(make: () => R, most = MOST) {
    this.#make = make;
    this.#most = most;
  }

  /** The struct datagram_look at `p`. Returns its flow. */
  look(view: DataView, p: number): LookedAtFlow<R> {
    const look = readDatagramLook(view, p);
    const { endpoint, offset, len: length } = look;
    const key = keyAt(view, p);
    const flow = this.#byKey.get(key) ?? { endpoint, recogniser: this.#make() };
    this.#byKey.set(key, flow);
    if (this.#byKey.size > this.#most) this.#byKey.delete(this.#byKey.keys().next().value!);
    const bytes = look.bytes.subarray(0, look.got);
    flow.recogniser.see({ fromClient: fromClient(look), offset, length, bytes });
    // The record's memory is used again; this copy is not kept.
    look.bytes.fill(0);
    return flow;
  }

  /** Of the struct event at `p`; undefined: nothing of it was looked at. */
  of(view: DataView, p: number): LookedAtFlow<R> | undefined {
    return this.#byKey.size === 0 ? undefined : this.#byKey.get(keyAt(view, p));
  }

  /** The flow of the struct event at `p` has ended. */
  delete(view: DataView, p: number): void {
    if (this.#byKey.size > 0) this.#byKey.delete(keyAt(view, p));
  }
}

/** A flow by its sock, its ends and the cookie, which lie alike in the struct event and the struct datagram_look at `p`. */
export const keyAt = (view: DataView, p: number): string =>
  `${flowAt(view, p)}${view.getUint32(p + EVENT_COOKIE, true)}`;

// --- internal ---

const fromClient = ({ direction, sent }: DatagramLook): boolean =>
  (direction === ConnDirection.DIRECTION_OUTGOING) === (sent === 1);
