/** What a record comes to: it changes what is known of its connection, and brings events along. Pure. */
import type { EventKind as EventKindText } from "../../conn/event.ts";
import { EventKind, type Event } from "../../record/layout.gen.ts";
import type { Accepts } from "../tcp/accepts.ts";
import { kindAt, kindOf, plainEvent } from "../event.ts";
import type { Flows } from "../udp/flows.ts";
import type { Opens } from "../tcp/opens.ts";
import type { Samples } from "../tcp/samples.ts";

/** Gets each event once all that came before it has been applied. */
export type Show = (event: Event, kind: EventKindText) => void;

/** Who has to know of a record. */
export interface Concerned {
  opens: Pick<Opens, "apply" | "concern">;
  accepts: Pick<Accepts, "established" | "closed">;
  /** null: UDP is not traced. */
  flows: Pick<Flows, "event"> | null;
  /** null: nobody asks what open connections have moved. */
  samples: Pick<Samples, "renewed"> | null;
}

export interface Applied {
  /** Nearly all records of a busy host: nobody but its own end has to know of it, so `applyOne` is enough. */
  isPlain(view: DataView, p: number): boolean;
  /** For every record. */
  any(event: Event, show: Show): void;
}

export function applied({ opens, accepts, flows, samples }: Concerned): Applied {
  return {
    isPlain: (view, p) => samples === null && isOfTcp(kindAt(view, p)) && !opens.concern(view, p),
    any(event, show) {
      const news = opens.apply(event);
      if (news === null) return samples?.renewed(event);
      const ofFlow = flows?.event(news) ?? null;
      if (ofFlow === null) applyOne(news, accepts, show);
      else for (const one of ofFlow) show(one.event, one.kind);
    },
  };
}

/** Of TCP: a handshake waits for its accept, a close may bring one along. */
export function applyOne(event: Event, accepts: Concerned["accepts"], show: Show): void {
  if (event.kind === EventKind.EVENT_PASSIVE) return accepts.established(event);
  const kind = kindOf(event);
  if (kind === null) return;
  if (kind === "close") {
    const accept = accepts.closed(event);
    if (accept === "unaccepted") return;
    if (accept !== null) show(accept, "accept");
  }
  show(event, kind);
}

/** Shows the record at `p` as it is; false: it is of an unusual kind, and nothing was shown. */
export type ShowRecord = (view: DataView, p: number) => boolean;

/** The same as applyOne for what `record` can show, and false for the rest, which is still to be applied. */
export function applyRecord(
  view: DataView,
  p: number,
  accepts: Pick<Accepts, "closedAt">,
  record: ShowRecord,
  show: Show,
): boolean {
  if (kindAt(view, p) === EventKind.EVENT_CLOSE) {
    const accept = accepts.closedAt(view, p);
    if (accept === "unaccepted") return true;
    if (accept !== null && !record(accept.view, accept.p)) show(plainEvent(accept), "accept");
  }
  return record(view, p);
}

// --- internal ---

const isOfTcp = (kind: number): boolean =>
  kind === EventKind.EVENT_CONNECT ||
  kind === EventKind.EVENT_ACCEPT ||
  kind === EventKind.EVENT_PASSIVE ||
  kind === EventKind.EVENT_CLOSE;
