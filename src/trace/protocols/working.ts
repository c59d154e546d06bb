/** The part at work: payload goes to its connection's recogniser, and what that has found to the connection's events. */
import type { TracedEvent } from "../../conn/identity.ts";
import { EventKind, readPayload, type Event } from "../../record/layout.gen.ts";
import { asView, kindAt } from "../event.ts";
import type { Opened, PartCount, Working } from "../part.ts";
import { sockAt, sockOf } from "../sock.ts";
import { closeGates } from "./gates.ts";
import { Streams, type Recogniser } from "./streams.ts";

export interface Describing extends Recogniser {
  /** Adds what is known to an event of the connection. */
  describe(shown: TracedEvent): void;
  /** Whether anything is known. */
  readonly known: boolean;
}

export function recognising({ host, object }: Opened, make: () => Describing): Working {
  const streams = new Streams(make);
  /** Recognised, and perhaps still looked at. */
  const recognised = new Map<number, bigint>();
  const ended: number[] = [];
  const unknown = { silent: 0n, unrecognised: 0n, missed: 0n };
  const count = (event: Event, found: Describing | null): void => {
    if (found?.known === true) return;
    if (found !== null) unknown.unrecognised++;
    else if (event.sent_bytes === 0n && event.recv_bytes === 0n) unknown.silent++;
    else unknown.missed++;
  };
  return {
    kinds: [EventKind.EVENT_PAYLOAD],
    tell(event) {
      const { view, p } = asView(event);
      const payload = readPayload(view, p);
      if (streams.look(payload)) recognised.set(sockOf(payload), payload.sk);
      // The record's memory is used again; this copy is not kept.
      payload.bytes.fill(0);
    },
    shown(event) {
      if (!ENDS.has(event.kind)) return true;
      const sock = sockOf(event);
      ended.push(sock);
      recognised.delete(sock);
      if (event.kind === EventKind.EVENT_CLOSE) count(event, streams.of(sock, event.cookie));
      return true;
    },
    enrich(shown, event) {
      if (shown.protocol === "tcp") streams.of(sockOf(event), event.cookie)?.describe(shown);
    },
    holds: (view, p) => kindAt(view, p) !== EventKind.EVENT_CLOSE && !streams.has(sockAt(view, p)),
    tick() {
      for (const sock of ended.splice(0)) streams.delete(sock);
      if (recognised.size > 0) closeGates(host.shim, object, recognised.values());
      recognised.clear();
    },
    counts: () => countsOf(unknown),
  };
}

// --- internal ---

const ENDS: ReadonlySet<number> = new Set([EventKind.EVENT_CLOSE, EventKind.EVENT_FAIL]);

const REASONS = {
  silent: "connections moved no data, so their application protocol is unknown",
  unrecognised: "connections spoke no application protocol that is known here",
  missed: "connections whose first bytes were not seen, so their application protocol is unknown",
} as const;

const countsOf = (unknown: Record<keyof typeof REASONS, bigint>): PartCount[] =>
  Object.entries(REASONS).flatMap(([reason, what]) => {
    const count = unknown[reason as keyof typeof REASONS];
    return count === 0n ? [] : { what, count };
  });
