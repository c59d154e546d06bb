/** The identity of an event's connection. Pure. */
import type { ConnEvent } from "./event.ts";

/**
 * An event with the cookie that the kernel side gave its connection. The same in all events of one connection; with the
 * two ends it tells apart connections that use the same two ends one after the other.
 */
export interface TracedEvent extends ConnEvent {
  cookie: number;
}

/** Whether both are between the same two ends. The process is left out: it can become known later. */
export function sameEnds(a: ConnEvent, b: ConnEvent): boolean {
  return (
    a.local.port === b.local.port &&
    a.remote.port === b.remote.port &&
    a.local.address === b.local.address &&
    a.remote.address === b.remote.address &&
    a.netns === b.netns &&
    a.protocol === b.protocol
  );
}
