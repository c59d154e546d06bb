/** Tells of a record of TCP: a handshake waits for its accept, a close may bring an accept along. Pure. */
import { EventKind, type Event, type Owner } from "../../record/layout.gen.ts";
import { kindAt, kindOf, pidAt, plainEvent } from "../event.ts";
import type { Show, ShowRecord } from "../part.ts";
import type { Accepts } from "./accepts.ts";

export function tellOne(
  event: Event,
  accepts: Pick<Accepts, "established" | "closed" | "listening" | "acceptorOf">,
  show: Show,
): void {
  if (event.kind === EventKind.EVENT_PASSIVE) return accepts.established(event);
  if (event.kind === EventKind.EVENT_LISTEN) return accepts.listening(event);
  const kind = kindOf(event);
  if (kind === null) return;
  if (kind === "close") {
    const accept = accepts.closed(event);
    if (accept === "unaccepted") return;
    if (accept !== null) show(accept, "accept");
    return show(ownedBy(accept?.owner ?? null, event, accepts), kind);
  }
  show(event, kind);
}

/**
 * The same for what `record` can show, and false for the rest, which is still to be told. `isDirect`: whether a record may be
 * shown as it is; of the one at `p` it is known.
 */
export function tellRecord(
  view: DataView,
  p: number,
  accepts: Pick<Accepts, "closedAt">,
  record: ShowRecord,
  show: Show,
  isDirect: ShowRecord,
): boolean {
  if (kindAt(view, p) === EventKind.EVENT_CLOSE) {
    if (pidAt(view, p) === 0) return false;
    const accept = accepts.closedAt(view, p);
    if (accept === "unaccepted") return true;
    if (accept !== null) {
      const isShown = isDirect(accept.view, accept.p) && record(accept.view, accept.p);
      if (!isShown) show(plainEvent(accept), "accept");
    }
  }
  return record(view, p);
}

// --- internal ---

/** A connection that nobody is known to have closed is its acceptor's. */
function ownedBy(
  acceptor: Owner | null,
  close: Event,
  accepts: Pick<Accepts, "acceptorOf">,
): Event {
  if (close.owner.pid !== 0) return close;
  const owner = acceptor ?? accepts.acceptorOf(close);
  return owner === null || owner.pid === 0 ? close : { ...plainEvent(close), owner };
}
