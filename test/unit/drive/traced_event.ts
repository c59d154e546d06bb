/** Events as a trace gives them. */
import type { EventKind, Totals } from "../../../src/conn/event.ts";
import type { TracedEvent } from "../../../src/conn/identity.ts";
import { allAttributes } from "./attributes.ts";

export const SECOND = 1_000_000_000n;

interface Moved extends Partial<Totals> {
  sent?: bigint | null;
  received?: bigint | null;
}

/** An event of one connection; without `moved` it has no totals, as those of connect and accept. */
export function eventOf(
  kind: EventKind,
  atNs: bigint,
  moved: Moved | null = null,
  more: Partial<TracedEvent> = {},
): TracedEvent {
  const event: TracedEvent = {
    kind,
    protocol: "tcp",
    atNs,
    pid: 100,
    comm: "curl",
    ...allAttributes(null),
    family: 4,
    direction: "outgoing",
    netns: 1,
    cgroup: null,
    container: null,
    local: { address: "10.0.0.1", port: 40_000 },
    remote: { address: "10.0.0.2", port: 443 },
    cookie: 1,
    ...more,
  };
  if (moved === null) return event;
  const { sent = 0n, received = 0n, ...rest } = moved;
  const totals: Totals = {
    bytesSent: sent,
    bytesReceived: received,
    segsOut: 1,
    segsIn: 1,
    rttUs: 1000,
    rttVarUs: 100,
    retransmits: 0,
    durationNs: null,
    ...rest,
  };
  return { ...event, totals };
}
