/**
 * The times at which this host tracked no connections: what began then is translated nowhere, as conntrack translates what it
 * tracks. Its module comes when the first rule wants it, and may go. docs/fields.md names the ways to translate without
 * conntrack, of which the tracer never knows.
 */
import { existsSync } from "node:fs";
import { conntrackIsThere } from "../../kernel/ctnetlink.ts";
import { ConnFact, ConnMetadata, type Event, EventView } from "../../record/layout.gen.ts";
import {
  EVENT_ENDS_METADATA,
  EVENT_FLAGS,
  LINE_CONDITIONS_PLAIN_ASKED,
  LINE_CONDITIONS_PLAIN_FROM,
  LINE_CONDITIONS_PLAIN_UNTIL,
} from "../../record/layout.gen.ts";
import { asView } from "../event.ts";

/** In nanoseconds of the events' clock: at both ends a look has found that nothing is tracked. */
interface Span {
  from: number;
  until: number;
}

/** IPVS translates without conntrack too, unless it is told otherwise. */
const mayTranslate = (): boolean => conntrackIsThere() || existsSync("/proc/net/ip_vs");

export class Absence {
  readonly #mayTranslate: () => boolean;
  readonly #nowNs: () => number;
  readonly #spans: Span[] = [];
  /** The last of them goes on. */
  #isAbsent: boolean;

  constructor(nowNs: () => number, isThere = mayTranslate) {
    this.#mayTranslate = isThere;
    this.#nowNs = nowNs;
    const until = nowNs();
    this.#isAbsent = !isThere();
    // Nothing translates older connections any more.
    if (this.#isAbsent) this.#spans.push({ from: 0, until });
  }

  /** To be called now and then. Returns whether nothing is tracked. */
  look(): boolean {
    const before = this.#nowNs();
    const isAbsent = !this.#mayTranslate();
    if (isAbsent && this.#isAbsent) this.#spans.at(-1)!.until = before;
    else if (isAbsent) this.#begin(this.#nowNs());
    this.#isAbsent = isAbsent;
    return isAbsent;
  }

  /** Of what began at `ns`, in the past. Looks, unless it has since then. */
  at(ns: number): boolean {
    for (const { from, until } of this.#spans) if (ns >= from && ns <= until) return true;
    const last = this.#spans.at(-1);
    if (!this.#isAbsent || last === undefined || ns < last.from) return false;
    return this.look() && ns <= last.until;
  }

  /** Of the connection or the flow of an event. */
  of(event: Event): boolean {
    const { view, p } = asView(event);
    return this.at(beganAt(view, p));
  }

  /** The record at `p` says it from here on, if it is so. */
  mark(view: DataView, p: number): void {
    if (this.#spans.length === 0) return;
    const flags = view.getUint32(p + EVENT_FLAGS, true);
    if ((flags & KNOWN) === 0 && this.at(beganAt(view, p)))
      view.setUint32(p + EVENT_FLAGS, flags | ConnFact.FACT_PLAIN, true);
  }

  /** Conditions on which `mark` need not look: see Working.conditions. */
  conditions(to: DataView): void {
    const last = this.#isAbsent ? this.#spans.at(-1) : undefined;
    to.setUint32(LINE_CONDITIONS_PLAIN_ASKED, this.#spans.length === 0 ? 0 : 1, true);
    to.setBigUint64(
      LINE_CONDITIONS_PLAIN_FROM,
      BigInt(last === undefined ? 1 : Math.ceil(last.from)),
      true,
    );
    to.setBigUint64(
      LINE_CONDITIONS_PLAIN_UNTIL,
      BigInt(last === undefined ? 0 : Math.floor(last.until)),
      true,
    );
  }

  #begin(ns: number): void {
    if (this.#spans.length === MOST_SPANS) this.#spans.shift();
    this.#spans.push({ from: ns, until: ns });
  }
}

// --- internal ---

const KNOWN = ConnFact.FACT_PLAIN | ConnFact.FACT_TRANSLATED;

/** Each is an unloading of the module. */
const MOST_SPANS = 64;

/** When its first packet passed, as far as it is known. */
function beganAt(view: DataView, p: number): number {
  const event = new EventView(view, p);
  if ((event.flags & ConnFact.FACT_UNSEEN_OPEN) === 0)
    return event.started_at_number || event.timestamp_number;
  // A flow that has been told as over may go on in another way. A connection cannot.
  const metadata = view.getUint32(p + EVENT_ENDS_METADATA, true);
  return (metadata & ConnMetadata.METADATA_TCP) !== 0 ? 0 : event.timestamp_number;
}
