/**
 * Handshakes of the tracepoint mode that the shim keeps (src/kernel/shim/pairs.c), so that a close can bring its accept along
 * without TypeScript. Handshakes of which the shim cannot decide are taken out here. Pure, but for the addresses.
 */
import {
  EVENT_COOKIE,
  eventSize,
  EventView,
  GateSize,
  LINE_CONDITIONS_PAIRS,
  lineHolderSize,
  linePairsSize,
  PairSlots,
  readLinePairs,
  writeLineHolder,
  writeLinePairs,
} from "../../record/layout.gen.ts";
import { timeAt } from "../event.ts";
import { hashOf, sockAt } from "../sock.ts";

export class Handshakes {
  readonly #records = new DataView(new ArrayBuffer(PairSlots.HANDSHAKE_SLOTS * eventSize));
  /** By slot: 1 where a handshake waits. The shim adds and removes them, `take` and `takeAll` remove them. */
  readonly #taken = new Uint8Array(new ArrayBuffer(PairSlots.HANDSHAKE_SLOTS));
  /** By listener and process: `teach` writes one, `forgetHolders` removes all. The shim reads them. */
  readonly #holders = new DataView(new ArrayBuffer(PairSlots.HOLDER_SLOTS * lineHolderSize));
  readonly #pairs = new DataView(new ArrayBuffer(linePairsSize));
  readonly #at: bigint;
  #isTaught = false;

  constructor(addressOf: (bytes: ArrayBufferView) => number) {
    const at = (bytes: ArrayBufferView) => BigInt(addressOf(bytes));
    writeLinePairs(this.#pairs, 0, {
      records: at(this.#records),
      taken: at(this.#taken),
      holders: at(this.#holders),
      newest: 0n,
    });
    this.#at = at(this.#pairs);
  }

  /** See Working.conditions. */
  conditions(to: DataView): void {
    to.setBigUint64(LINE_CONDITIONS_PAIRS, this.#at, true);
  }

  /** When the newest handshake was done that became an accept; nanoseconds, as a number. */
  get newestNs(): number {
    return Number(readLinePairs(this.#pairs, 0).newest);
  }

  /** The handshake of this connection, which is kept no longer; its record lies here only for the time of the call. */
  take(sock: number, cookie: number): EventView | null {
    const slot = slotOf(sock);
    if (this.#taken[slot] !== 1) return null;
    const at = slot * eventSize;
    const isIts =
      sockAt(this.#records, at) === sock &&
      this.#records.getUint32(at + EVENT_COOKIE, true) === cookie;
    if (!isIts) return null;
    this.#taken[slot] = 0;
    return new EventView(this.#records, at);
  }

  /** The same of all, the oldest first. */
  takeAll(): EventView[] {
    const all: EventView[] = [];
    for (let slot = -1; (slot = this.#taken.indexOf(1, slot + 1)) >= 0;) {
      this.#taken[slot] = 0;
      all.push(new EventView(this.#records, slot * eventSize));
    }
    return all.sort((a, b) => timeAt(a.view, a.p) - timeAt(b.view, b.p));
  }

  /** This process held this listener when any handshake was done from then on. */
  teach(ino: number, pid: number, sinceNs: number): void {
    const mixed = Math.imul(ino, GateSize.GATE_HASH) ^ pid;
    const slot = Math.imul(mixed, GateSize.GATE_HASH) >>> HOLDER_SHIFT;
    const since = BigInt(Math.ceil(sinceNs));
    writeLineHolder(this.#holders, slot * lineHolderSize, { ino, pid, since });
    this.#isTaught = true;
  }

  /** More is known of holders: what was taught may be wrong. */
  forgetHolders(): void {
    if (!this.#isTaught) return;
    new Uint8Array(this.#holders.buffer).fill(0);
    this.#isTaught = false;
  }
}

// --- internal ---

/** As slot_of() of src/kernel/shim/pairs.c. */
const shiftOf = (slots: number): number => 32 - Math.log2(slots);
const HOLDER_SHIFT = shiftOf(PairSlots.HOLDER_SLOTS);
const HANDSHAKE_SHIFT = shiftOf(PairSlots.HANDSHAKE_SLOTS);
const slotOf = (sock: number): number => hashOf(sock) >>> HANDSHAKE_SHIFT;
