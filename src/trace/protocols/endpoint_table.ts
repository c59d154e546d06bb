/** The endpoints after which closes are named, where the shim finds them (src/kernel/shim/lines.c). Pure. */
import { EndpointSlot, lineEndpointSize, writeLineEndpoint } from "../../record/layout.gen.ts";

export interface Naming {
  netns: number;
  /** Where its address lies in a struct event. */
  end: number;
  port: number;
  address: Uint8Array;
  /** Connections that began between the two are named after it; nanoseconds. */
  since: number;
  until: number;
  speaks: number;
}

export class EndpointTable {
  /** In a buffer of its own, which stays at its address. */
  readonly view = new DataView(new ArrayBuffer(EndpointSlot.ENDPOINT_SLOTS * lineEndpointSize));
  /** The keys of each slot that is used. */
  readonly #keys = new Map<number, Set<number>>();

  /** Whether no endpoint names any. */
  get isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  /** The endpoint with this key (see keyAt) names closes so from now on. */
  set(key: number, naming: Naming): void {
    const slot = slotOf(key);
    const keys = this.#keys.get(slot) ?? new Set();
    this.#keys.set(slot, keys.add(key));
    // The endpoint that is left alone in its slot writes itself at its next connection.
    if (keys.size > 1) return this.#write(slot, EndpointSlot.ENDPOINT_SEVERAL, NOBODY);
    this.#write(slot, EndpointSlot.ENDPOINT_ONE, naming);
  }

  delete(key: number): void {
    const slot = slotOf(key);
    const keys = this.#keys.get(slot);
    if (keys?.delete(key) !== true || keys.size > 0) return;
    this.#keys.delete(slot);
    this.#write(slot, EndpointSlot.ENDPOINT_NONE, NOBODY);
  }

  #write(slot: number, state: number, { since, until, ...naming }: Naming): void {
    writeLineEndpoint(this.view, slot * lineEndpointSize, {
      ...naming,
      state,
      since: BigInt(Math.ceil(since)),
      until: BigInt(Math.floor(until)),
    });
  }
}

// --- internal ---

const NOBODY: Naming = {
  netns: 0,
  end: 0,
  port: 0,
  address: new Uint8Array(16),
  since: 0,
  until: 0,
  speaks: 0,
};

const slotOf = (key: number): number => key & (EndpointSlot.ENDPOINT_SLOTS - 1);
