/** Tells of a record of TCP: a handshake waits for its accept, a close may bring an accept along. Pure. */
import { EventKind, type Event } from "../../record/layout.gen.ts";
import { kindAt, kindOf, plainEvent } from "../event.ts";
import type { Show, ShowRecord } from "../part.ts";
import type { Accepts } from "./accepts.ts";

export function tellOne(
  event: Event,
  accepts: Pick<Accepts, "established" | "closed" | "listening">,
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
  }
  show(event, kind);
}

/** The same for what `record` can show, and false for the rest, which is still to be told. */
export function tellRecord(
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
